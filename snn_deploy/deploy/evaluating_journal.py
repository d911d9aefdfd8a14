"""The journal of an evaluation: a line for each block that is done, so that none is done twice."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from snn_deploy.deploy.artifact import check_outside
from snn_deploy.deploy.evaluating_block import Found
from snn_deploy.deploy.locking import check_locks, content_of, locked
from snn_deploy.errors import CannotWriteError, DataError, OptionError
from snn_deploy.ir.paths import is_there

SCHEMA = "snn-deploy/evaluation-journal/1"


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: what the answers are for."""

    schema: str
    version: str
    """Of snn-deploy."""

    program: str
    network: str
    data: str
    """Digests."""

    question: dict[str, str | int | bool | None]
    blocks: int
    """Number of blocks; that and the samples say which samples a block has."""


class Journal:
    """An open journal; see `journal`."""

    def __init__(self, descriptor: int, path: Path, done: dict[int, Found], end: int) -> None:
        self._descriptor = descriptor
        self._path = path
        self._end = end
        self.done = done
        """What was found before this run, by block."""

    def add(self, found: Found) -> None:
        """Append a block, on the disk when this returns.

        Raises:
            CannotWriteError: the disk is full, ...; what was written before stays.
        """
        self.append(msgspec.json.encode(found) + b"\n")

    def append(self, line: bytes) -> None:
        """Append a line, whole or not at all.

        Raises:
            CannotWriteError: the disk is full, ...
        """
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._descriptor, line[written:], self._end + written)
            os.fsync(self._descriptor)
        except OSError as problem:
            os.ftruncate(self._descriptor, self._end)
            raise _cannot_write(problem, self._path) from problem
        self._end += len(line)


@contextmanager
def journal(path: Path, heading: Heading) -> Iterator[Journal]:
    """Open the journal at `path`, or begin one there.

    A last line that was cut off is dropped.

    Raises:
        OptionError: it is of other data, another artifact or other options; or in use.
        DataError: it is no journal.
        CannotWriteError: it cannot be written, is a link or no plain file, or lies inside an
            artifact.
    """
    check_outside(path, option="--journal")
    with _opened(path) as descriptor:
        lines, done = _whole(content_of(descriptor), path, heading)
        end = sum(len(line) + 1 for line in lines)
        os.ftruncate(descriptor, end)
        opened = Journal(descriptor, path, done, end)
        if not lines:
            opened.append(msgspec.json.encode(heading) + b"\n")
            _sync_folder(path)
        yield opened


def finished(path: Path, heading: Callable[[], Heading]) -> int | None:
    """Return how many blocks the journal at `path` has; None: there is none. Nothing is written.

    Args:
        path: The file.
        heading: Returns what it must be for; called if it is there.

    Raises:
        OptionError, DataError, CannotWriteError: as `journal`.
    """
    check_outside(path, option="--journal")
    if is_there(path):
        with _opened(path) as descriptor:
            return len(_whole(content_of(descriptor), path, heading())[1])
    check_locks(path)
    try:
        os.scandir(path.parent).close()
    except OSError as problem:
        raise _cannot_write(problem, path) from problem
    return None


def _opened(path: Path) -> AbstractContextManager[int]:
    """Open the file, which no other run has open, or make it."""
    busy = OptionError("another run writes this journal", where=str(path), fix="--journal OTHER")
    return locked(path, busy, lambda problem: _cannot_write(problem, path))


def _whole(content: bytes, path: Path, heading: Heading) -> tuple[list[bytes], dict[int, Found]]:
    """Return the lines of a journal that were not cut off, and the blocks in them."""
    *lines, cut = content.split(b"\n")
    begun = (msgspec.json.encode(heading) + b"\n").startswith(cut)
    return lines, _read(lines or ([] if begun else [cut]), path, heading)


def _sync_folder(path: Path) -> None:
    """Put the name of a new file on the disk; without it the file is lost with the power."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(lines: list[bytes], path: Path, heading: Heading) -> dict[int, Found]:
    if not lines:
        return {}
    try:
        before = msgspec.json.decode(lines[0], type=Heading)
        found = [msgspec.json.decode(line, type=Found) for line in lines[1:]]
    except msgspec.MsgspecError as problem:
        raise DataError(
            f"this is no journal of an evaluation: {problem}",
            where=str(path),
            fix="--journal OTHER, or remove the file",
        ) from problem
    if before != heading:
        raise OptionError(
            f"the journal is of another evaluation: {_differences(before, heading)}",
            where=str(path),
            fix="--journal OTHER, or repeat what it was begun with",
        )
    return {one.block: one for one in found}


def _differences(before: Heading, now: Heading) -> str:
    """Return what an old heading and a new one say differently."""
    names = {
        "schema": "its format",
        "version": "the version of snn-deploy",
        "program": "the program",
        "network": "the network",
        "data": "the data",
        "blocks": "the number of blocks",
    }
    told = [f"{words} differs" for key, words in names.items() if _of(before, key) != _of(now, key)]
    for key in sorted({*before.question, *now.question}):
        one, other = before.question.get(key), now.question.get(key)
        if one != other:
            told.append(f"{key} was {one}, not {other}")
    return ", ".join(told)


def _of(heading: Heading, key: str) -> str | int:
    found = getattr(heading, key)
    assert isinstance(found, str | int)
    return found


NO_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EROFS}
"""What the system says where no file can be, however much space there is."""


def _cannot_write(problem: OSError, path: Path) -> CannotWriteError:
    if problem.errno in NO_PLACE:
        fix = "--journal FILE, in a folder that is there and may be written"
    else:
        fix = (
            "free some space and run the same command again, or --journal FILE on another disk "
            "with a copy of this one"
        )
    return CannotWriteError(
        f"the journal could not be written: {problem.strerror or problem}; the blocks in it stay",
        where=str(path),
        fix=fix,
    )
