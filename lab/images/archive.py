"""Writes an image as one file that containerd imports: an OCI image layout in a tar archive.

Layers are tar archives, left uncompressed: they stay on this machine, and so neither writing nor
importing them costs computing time. Images that share a layer share it in containerd by its digest.
"""

import argparse
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import IO, Any

OCI = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main() -> None:
    """Reads the command line and writes the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--layer", type=Path, action="append", required=True, help="lowest first")
    parser.add_argument("--reference", action="append", required=True, help="whole name")
    parser.add_argument("--entrypoint", action="append", default=[], help="one word")
    parser.add_argument("--environment", action="append", default=[], help="NAME=VALUE")
    parser.add_argument("--user", default="", help="number of the user who runs it; root")
    parser.add_argument("--directory", default="/", help="where it starts")
    arguments = parser.parse_args()
    run = {
        "Env": [f"PATH={PATH}", *arguments.environment],
        "Entrypoint": arguments.entrypoint,
        "User": arguments.user,
        "WorkingDir": arguments.directory,
    }
    with tarfile.open(arguments.output, "w") as archive:
        write(archive, arguments.layer, arguments.reference, run)


def write(
    archive: tarfile.TarFile, layers: list[Path], references: list[str], run: dict[str, Any]
) -> None:
    """Adds the layers and the documents that describe them."""
    stored = [add_layer(archive, layer) for layer in layers]
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in stored]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": add_document(archive, "config", config),
        "layers": stored,
    }
    image = add_document(archive, "manifest", manifest)
    # The annotation from which containerd takes an image's name.
    names = [{"io.containerd.image.name": reference} for reference in references]
    named = [{**image, "annotations": name} for name in names]
    add(archive, "index.json", encode({"schemaVersion": 2, "manifests": named}))
    add(archive, "oci-layout", encode({"imageLayoutVersion": "1.0.0"}))


def add_layer(archive: tarfile.TarFile, layer: Path) -> dict[str, Any]:
    """Adds a layer and returns what describes it."""
    with layer.open("rb") as content:
        return add_blob(archive, f"{OCI}.layer.v1.tar", content)


def add_document(archive: tarfile.TarFile, kind: str, document: dict[str, Any]) -> dict[str, Any]:
    """Adds a JSON document and returns what describes it."""
    return add_blob(archive, f"{OCI}.{kind}.v1+json", encode(document))


def add_blob(archive: tarfile.TarFile, media_type: str, content: IO[bytes]) -> dict[str, Any]:
    """Adds content under its digest; it is read twice, since its name comes before it."""
    digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    content.seek(0)
    size = add(archive, f"blobs/sha256/{digest}", content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def add(archive: tarfile.TarFile, name: str, content: IO[bytes]) -> int:
    """Adds a file without owner or date, so that equal inputs make equal archives."""
    entry = tarfile.TarInfo(name)
    entry.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    archive.addfile(entry, content)
    return entry.size


def encode(document: dict[str, Any]) -> io.BytesIO:
    """The bytes of a JSON document, in which the order of keys does not matter."""
    return io.BytesIO(json.dumps(document, sort_keys=True).encode())


if __name__ == "__main__":
    main()
