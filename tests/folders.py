"""What a folder holds, to see that nothing in it was touched."""

from pathlib import Path


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return what each file below a folder holds, by its path; None: an empty folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }
