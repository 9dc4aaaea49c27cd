"""The SBOMs say what is inside, in the form that readers of CycloneDX expect."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import inputs
import pytest
import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

TOP = Path(__file__).parents[2]
BOTH = ["x86_64", "aarch64"]
DOCUMENTS = {
    "directory": sbom.of_directories("1.2.3", ["x86_64"]),
    "release": sbom.of_directories("1.2.3", BOTH),
    "wheel": sbom.of_wheel("1.2.3", ["boto3>=1.41", "PyYAML>=6"]),
}


def components(text: str) -> list[dict[str, Any]]:
    """Return the components of an SBOM."""
    found: list[dict[str, Any]] = json.loads(text)["components"]
    return found


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_each_is_valid(text: str) -> None:
    """To CycloneDX's own schema, and each component is one that the program depends on."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    root = document["metadata"]["component"]["bom-ref"]
    (graph,) = (one["dependsOn"] for one in document["dependencies"] if one["ref"] == root)
    assert sorted(graph) == sorted(one["bom-ref"] for one in document["components"])


@pytest.mark.parametrize("machines", [["x86_64"], ["aarch64"], BOTH], ids="-".join)
def test_all_that_is_locked_is_in_it(machines: list[str]) -> None:
    """With its hash, address and licence; the texts of licences are no component."""
    lock = inputs.locked()
    wanted = {
        one["sha256"]
        for one in (*lock["debian"], *lock["python"])
        if one["machine"] in (*machines, None) or one["name"] == inputs.COMPILER
    }
    wanted -= {one["sha256"] for one in lock["debian"] if one["name"] == inputs.TEXTS}
    found = [one for one in components(sbom.of_directories("1.2.3", machines)) if "hashes" in one]
    assert {one["hashes"][0]["content"] for one in found} == wanted
    assert len({one["bom-ref"] for one in found}) == len(found) == len(wanted)
    for one in found:
        assert one["purl"].startswith(("pkg:deb/debian/", "pkg:pypi/"))
        assert one["licenses"][0]["expression"]


def test_the_front_door_is_in_it() -> None:
    """Its C library is inside; its compiler is not, and is said to be no part of what runs."""
    found = {one["name"]: one for one in components(DOCUMENTS["directory"])}
    assert "version" not in found["musl"]
    assert found["ziglang"]["scope"] == "excluded"
    assert {one.get("scope") for name, one in found.items() if name != "ziglang"} == {None}


def test_the_one_of_the_wheel_names_no_version_that_it_does_not_have() -> None:
    """What it needs is chosen by whoever installs it."""
    document = json.loads(DOCUMENTS["wheel"])
    assert document["metadata"]["component"]["purl"] == "pkg:pypi/ecr-credential-helper@1.2.3"
    found = {one["purl"]: one for one in document["components"]}
    assert set(found) == {"pkg:pypi/boto3", "pkg:pypi/pyyaml"}
    assert "boto3>=1.41" in found["pkg:pypi/boto3"]["description"]
    assert not any("version" in one or "hashes" in one for one in found.values())


def test_two_are_the_same_bytes(tmp_path: Path) -> None:
    """Made by two processes, whatever the order of sets; another time makes another."""
    made = []
    for number, (seed, time) in enumerate([("1", "86400"), ("2", "86400"), ("1", "86401")]):
        out = tmp_path / str(number)
        variables = {**os.environ, "PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": time}
        command = (sys.executable, TOP / "packaging" / "sbom.py", out)
        subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)
        (file,) = out.iterdir()
        assert file.name == f"ecr-credential-helper-{sbom.version()}.cdx.json"
        made.append(file.read_text())
    one, same, other = made
    assert one == same
    first, last = json.loads(one), json.loads(other)
    assert first["metadata"]["timestamp"] == "1970-01-02T00:00:00+00:00"
    assert first["serialNumber"] != last["serialNumber"]
