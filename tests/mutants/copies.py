"""Copies of the repository, in which code may be changed: the repository itself never is."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"


def copied(number: int) -> Path:
    """Return copy `number` of the repository, as its files are now; what they compile to stays."""
    tree = BUILD / f"tree{number}"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    names = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in names:
        here, there = ROOT / name, tree / name
        if there.exists() and _stamp(there) == _stamp(here):
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(here, there)
    for file in [f for f in tree.rglob("*") if f.is_file() and "__pycache__" not in f.parts]:
        if file.relative_to(tree).as_posix() not in names:
            file.unlink()
    shared = ROOT.parent / "shared"
    link = BUILD / "shared"
    if shared.is_dir() and not link.exists():
        link.symlink_to(shared.resolve())
    return tree


def environment(tree: Path) -> dict[str, str]:
    """Return the environment of a process that imports what `tree` holds."""
    return {
        **os.environ,
        "PYTHONPATH": f"{tree}{os.pathsep}{Path(__file__).parent}",
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
