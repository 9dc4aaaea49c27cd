"""Bazel's protocol, up to the registry: what the downloader gets with the header of the answer."""

import json
import sys

from tests.loopback import Loopback

from .rig import PRIVATE, Rig
from .users import User

# As Bazel's downloader: one helper for each URI, its headers in the request. $1 is the CA.
DOWNLOADER = """
import hashlib, json, ssl, subprocess, sys, urllib.error, urllib.request

def download(uri):
    asked = json.dumps({"uri": uri}).encode()
    answer = json.loads(subprocess.check_output(["docker-credential-ecr", "get"], input=asked))
    headers = {name: values[0] for name, values in answer["headers"].items()}
    headers["Accept"] = "application/vnd.docker.distribution.manifest.v2+json"
    request = urllib.request.Request(uri, headers=headers)
    with urllib.request.urlopen(request, context=trust) as page:
        return page.read()

trust = ssl.create_default_context(cafile=sys.argv[1])
base = f"https://{sys.argv[2]}/v2/app"
manifest = json.loads(download(f"{base}/manifests/latest"))
for part in (manifest["config"], *manifest["layers"]):
    blob = download(f"{base}/blobs/{part['digest']}")
    assert "sha256:" + hashlib.sha256(blob).hexdigest() == part["digest"]
try:
    urllib.request.urlopen(f"{base}/blobs/{part['digest']}", context=trust)
except urllib.error.HTTPError as error:
    print(json.dumps([len(manifest["layers"]), error.code]))
"""


def test_the_downloader_gets_manifest_and_blobs(rig: Rig, aws: Loopback) -> None:
    """With the header each of them comes, without it none; all for one token from AWS."""
    somebody = User(rig, "docker", aws.environment(with_keys=True))
    somebody.use_helper(PRIVATE)
    image = f"{PRIVATE}/app:latest"
    somebody.build(image)
    somebody.docker("push", image)
    aws.calls.clear()
    somebody.run("docker-credential-ecr", "clear")

    done = somebody.run(sys.executable, "-c", DOWNLOADER, rig.certificates(), PRIVATE)

    assert json.loads(done.stdout) == [1, 401]
    assert aws.count("ecr", "GetAuthorizationToken") == 1
