# For `pkgs.callPackage`. UNTESTED: nobody has built it; only that it can be parsed is tested.
{ lib, python3Packages }:

python3Packages.buildPythonApplication {
  pname = "ecr-credential-helper";
  version = lib.head (
    builtins.match ".*__version__ = \"([^\"]+)\".*" (
      builtins.readFile ../../ecr_credential_helper/__init__.py
    )
  );
  pyproject = true;
  src = lib.cleanSource ../..;

  build-system = with python3Packages; [
    argparse-manpage
    cyclonedx-python-lib
    hatchling
    markdown-it-py
    shtab
  ];
  dependencies = with python3Packages; [
    boto3
    botocore
    platformdirs
    pyyaml
    rich
  ];

  pythonImportsCheck = [ "ecr_credential_helper" ];

  meta = {
    description = "Docker credential helper for Amazon ECR";
    license = lib.licenses.asl20;
    mainProgram = "docker-credential-ecr";
  };
}
