"""Artifacts that another hand changed and sealed anew, as a careful liar would."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from snn_deploy.deploy.manifest import MANIFEST, PAGE
from snn_deploy.deploy.seal import OPEN, sealed


def rewrite(folder: Path, change: Callable[[dict], object]) -> None:
    """Change the manifest of an artifact, and seal it; the page, sealed with others, goes."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["seal"] = OPEN
    path.write_bytes(sealed(json.dumps(manifest).encode()))
    (folder / PAGE).unlink(missing_ok=True)


def replace(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of an artifact, and what its manifest says of it."""
    (folder / name).write_bytes(content)
    record = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    rewrite(folder, lambda manifest: manifest["files"].update({name: record}))


def drop(folder: Path, name: str) -> None:
    """Remove a file of an artifact, and what its manifest says of it."""
    (folder / name).unlink()
    rewrite(folder, lambda manifest: manifest["files"].pop(name))
