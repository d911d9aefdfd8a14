"""Files of a folder that any hand may have laid out: no link is followed, no pipe is waited for."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

LONGEST_NAME = 1000
"""Characters of the path of a file within its folder."""

LEFT_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that file managers put into any folder that they show."""


class NotPlainError(OSError):
    """There is something else than a plain file in plain folders."""


class TooLargeError(NotPlainError):
    """It is a plain file of more bytes than are wanted."""


def is_inner(name: str) -> bool:
    """Return whether `name` is the path of a file within a folder, on any system."""
    parts = name.split("/")
    wrong = any(part in ("", ".", "..") for part in parts) or "\\" in name or ":" in name
    return not wrong and len(name) <= LONGEST_NAME and name.isprintable()


def read_plain(folder: Path, name: str, most: int | None = None) -> bytes:
    """Return what the file `name` of a folder holds.

    Args:
        folder: It may be a link itself.
        name: Path within it; see `is_inner`.
        most: Bytes at most; None: any number.

    Raises:
        NotPlainError: it is a link, a pipe or a device, or lies behind a link; or is larger:
            TooLargeError.
        OSError: it is not there, or may not be read.
    """
    *outer, last = PurePosixPath(name).parts
    path = folder
    for part in outer:
        path /= part
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise NotPlainError(f"{part!a} is no folder of its own")
    path /= last
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise NotPlainError("it is no plain file")
    if most is not None and found.st_size > most:
        raise TooLargeError(f"it has {found.st_size} bytes, at most {most} are read")
    return path.read_bytes()


def opened_plain(path: Path) -> int:
    """Return the descriptor of a plain file for reading and writing, made if it is not there.

    Raises:
        NotPlainError: it is a link, a pipe or a device.
        OSError: it cannot be opened.
    """
    if path.is_symlink():
        raise NotPlainError("it is a link")
    followed = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | followed, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlainError("it is no plain file")
    return descriptor


def names_in(folder: Path) -> Iterator[str]:
    """Yield the path of everything in a folder that is no folder itself: links are not followed.

    Raises:
        OSError: it may not be looked into.
    """
    inner = [""]
    while inner:
        start = inner.pop()
        with os.scandir(folder / start) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(f"{start}{entry.name}/")
                elif entry.name not in LEFT_BY_SYSTEMS:
                    yield f"{start}{entry.name}"
