"""A file that one process at a time writes to: the journals of evaluations and of searches."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from snn_deploy.deploy.plain_files import opened_plain
from snn_deploy.errors import CannotWriteError, OptionError


def check_locks(path: Path) -> None:
    """Refuse a file that others must be kept out of, where the system cannot do so.

    Raises:
        OptionError: this system has no such locks.
    """
    if find_spec("fcntl") is None:
        raise OptionError(
            "a journal needs POSIX file locks, which this system lacks",
            where=str(path),
            fix="run it on Linux or macOS",
        )


@contextmanager
def locked(
    path: Path, busy: OptionError, cannot_write: Callable[[OSError], CannotWriteError]
) -> Iterator[int]:
    """Open a file, or make it, and keep other processes out until the end.

    Args:
        path: The file.
        busy: Raised where another process has it.
        cannot_write: Makes the error for a file that cannot be opened or made.

    Yields:
        A descriptor to read and write by.

    Raises:
        OptionError: `busy`; or this system has no such locks.
        CannotWriteError: what `cannot_write` made, also for a link, a pipe or a device.
    """
    check_locks(path)
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        descriptor = opened_plain(path)
    except OSError as problem:
        raise cannot_write(problem) from problem
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        yield descriptor
    finally:
        os.close(descriptor)


def content_of(descriptor: int) -> bytes:
    """Return all that an open file holds."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()
