"""Make the image that other images copy the program from: FROM scratch, for all processors.

Run `python packaging/image.py OUT DIRECTORY...` with the directories that standalone.py built. It
makes OUT/docker-credential-ecr-VERSION-image.tar, an archive in the layout of the Open Container
Initiative (opencontainers/image-spec), which skopeo, podman and buildah read:

    skopeo copy --all oci-archive:docker-credential-ecr-VERSION-image.tar docker://REGISTRY/NAME:TAG
"""

import gzip
import hashlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from archives import EPOCH, add_all
from inputs import DEBIAN_NAMES

NAME = "docker-credential-ecr"
WHERE = f"/opt/{NAME}"
MEDIA_TYPE = "application/vnd.oci.image"
WHEN = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))


class Layout:
    """A directory in the layout of an image, and what is in it by its digest."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = directory / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)

    def add(self, content: bytes, kind: str, **more: Any) -> dict[str, Any]:
        """Keep a blob; return its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        (self.blobs / digest).write_bytes(content)
        return {
            "mediaType": f"{MEDIA_TYPE}.{kind}",
            "digest": f"sha256:{digest}",
            "size": len(content),
            **more,
        }

    def add_json(self, document: Any, kind: str, **more: Any) -> dict[str, Any]:
        """Keep a document; return its descriptor."""
        return self.add(json.dumps(document, sort_keys=True).encode(), f"{kind}+json", **more)

    def write(self, name: str, content: Any) -> None:
        """Write one of the files that are not blobs."""
        (self.directory / name).write_text(json.dumps(content, sort_keys=True))


def add_manifest(layout: Layout, directory: Path, version: str) -> dict[str, Any]:
    """Add the image for one processor; return its descriptor."""
    architecture = DEBIAN_NAMES[directory.name.rpartition("-")[2]]
    plain = io.BytesIO()
    add_all(plain, directory, WHERE.removeprefix("/"))
    layer = layout.add(gzip.compress(plain.getvalue(), mtime=EPOCH), "layer.v1.tar+gzip")
    command = f"{WHERE}/{NAME}"
    labels = {"title": NAME, "version": version, "licenses": "Apache-2.0"}
    config = {
        "created": WHEN,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Env": [f"PATH={WHERE}"],
            "Entrypoint": [command],
            "Labels": {f"org.opencontainers.image.{name}": text for name, text in labels.items()},
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"],
        },
        "history": [{"created": WHEN, "created_by": f"COPY {NAME} {WHERE}"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{MEDIA_TYPE}.manifest.v1+json",
        "config": layout.add_json(config, "config.v1"),
        "layers": [layer],
    }
    platform = {"architecture": architecture, "os": "linux"}
    return layout.add_json(manifest, "manifest.v1", platform=platform)


def main() -> None:
    """Make the image of all directories, as one archive."""
    out, *directories = (Path(argument).resolve() for argument in sys.argv[1:])
    version = directories[0].name.removeprefix(f"{NAME}-").rpartition("-linux-")[0]
    with tempfile.TemporaryDirectory() as work:
        layout = Layout(Path(work))
        index = {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA_TYPE}.index.v1+json",
            "manifests": [add_manifest(layout, one, version) for one in sorted(directories)],
        }
        tag = {"org.opencontainers.image.ref.name": version}
        whole = layout.add_json(index, "index.v1", annotations=tag)
        layout.write("index.json", {"schemaVersion": 2, "manifests": [whole]})
        layout.write("oci-layout", {"imageLayoutVersion": "1.0.0"})
        archive = out / f"{NAME}-{version}-image.tar"
        with archive.open("wb") as packed:
            add_all(packed, layout.directory, ".")
    sys.stdout.write(f"{archive}\n")


if __name__ == "__main__":
    main()
