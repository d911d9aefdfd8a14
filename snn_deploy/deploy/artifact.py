"""What commands write: a folder or a file, whole or not at all, and nothing is lost for it."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from snn_deploy.deploy.manifest import is_artifact, strangers
from snn_deploy.errors import CannotWriteError, DeployError, OutputExistsError
from snn_deploy.ir.paths import is_file, is_there


def write_folder(files: Mapping[str, bytes], output: Path, *, force: bool = False) -> None:
    """Write `files` (content by relative path) as the folder `output`, whole or not at all.

    They are written to a temporary folder beside it, which is then renamed. With `force` an
    artifact that is already there is replaced; anything else is never touched.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given, it is no artifact, or it
            holds a file that is not of it.
        CannotWriteError: the disk is full, permission is missing, the parent is no folder, ...
    """
    check_output(output, force=force)
    temporary = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        for name, content in sorted(files.items()):
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        temporary.chmod(0o755)
        (_replace if force else _place)(temporary, output)
    except OSError as problem:
        raise _cannot_write(problem, output) from problem
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def check_output(output: Path, *, force: bool) -> None:
    """Refuse an output folder that must not be written.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given, it is no artifact, or it
            holds a file that is not of it.
        CannotWriteError: it lies inside an artifact.
    """
    check_outside(output, "FOLDER")
    if not is_there(output):
        return
    if not force:
        raise OutputExistsError(
            "the output is already there, and nothing is overwritten",
            where=str(output),
            fix=_ways_out(output),
        )
    for attempt in range(ATTEMPTS):  # another run may put its own there while this one looks
        seen = _identity(output)
        if seen is None:
            return
        try:
            _check_replaceable(output)
            return
        except DeployError:
            if seen == _identity(output) or attempt == ATTEMPTS - 1:
                raise


def _ways_out(output: Path) -> str:
    """Return what to do about a folder that is there: `--force` where that would replace it."""
    try:
        _check_replaceable(output)
    except DeployError:
        return "--output FOLDER writes elsewhere"
    return "--force replaces it, --output FOLDER writes elsewhere"


def _identity(output: Path) -> tuple[int, int, int] | None:
    """Return what tells a folder from another of its name; None: there is none."""
    try:
        found = output.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _check_replaceable(output: Path) -> None:
    """Refuse what `--force` does not replace."""
    if output.is_symlink() or not is_artifact(output):
        raise OutputExistsError(
            "the output is there but is no artifact of ours, so --force does not replace it",
            where=str(output),
            fix="--output FOLDER writes elsewhere",
        )
    if left := strangers(output):
        raise OutputExistsError(
            f"the artifact that is there also holds {left[0]!a}, which no export wrote and which "
            "--force would remove",
            where=str(output),
            fix="move it elsewhere, or --output FOLDER",
        )


def check_file(output: Path, *, force: bool, reads: Iterable[Any] = ()) -> None:
    """Refuse an output file that must not be written.

    Args:
        output: The file.
        force: Whether a file that is there may be replaced.
        reads: What the command reads; paths of files among it are not replaced.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given, it is no plain file, or it
            is one that the command reads.
        CannotWriteError: it lies inside an artifact.
    """
    check_outside(output, "FILE")
    if not is_there(output):
        return
    paths = [Path(given) for given in reads if isinstance(given, str | Path)]
    what = ""
    if output.is_symlink() or not output.is_file():
        what = "is there but is no plain file"
    elif any(is_file(path) and path.samefile(output) for path in paths):
        what = "is a file that this command reads"
    elsewhere = "--output FILE writes elsewhere"
    if what:
        raise OutputExistsError(
            f"the output {what}, so --force does not replace it", where=str(output), fix=elsewhere
        )
    if not force:
        raise OutputExistsError(
            "the output is already there, and nothing is overwritten",
            where=str(output),
            fix=f"--force replaces it, {elsewhere}",
        )


def check_outside(output: Path, what: str = "FILE", option: str = "--output") -> None:
    """Refuse to write into an artifact, which would then no longer be as it was exported.

    Raises:
        CannotWriteError: a folder around `output` is an artifact.
    """
    try:
        around = Path(os.path.abspath(output)).parents  # noqa: PTH100 - `..` and links as given
        real = output.parent.resolve()
    except (OSError, RuntimeError):  # a loop of links: writing says so
        return
    for folder in dict.fromkeys((*around, real, *real.parents)):
        if is_artifact(folder):
            raise CannotWriteError(
                f"the output lies inside the artifact {str(folder)!r}, which stays as it was "
                "exported",
                where=str(output),
                fix=f"{option} {what} elsewhere",
            )


def write_file(content: bytes, output: Path, *, force: bool = False) -> None:
    """Write one file, whole or not at all: beside it first, then renamed.

    Raises:
        OutputExistsError: `output` exists, and `force` is not given or it is no plain file.
        CannotWriteError: the disk is full, permission is missing, the parent is no folder, ...
    """
    check_file(output, force=force)
    temporary = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        whole = temporary / output.name
        whole.write_bytes(content)
        if force:
            whole.replace(output)
        else:
            _place_file(whole, output)
    except OSError as problem:
        raise _cannot_write(problem, output, "FILE") from problem
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


ATTEMPTS = 20
"""Times that a folder is put in place while others put theirs there."""

TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
"""What the system says where a folder is to be named like something that is there."""


def _place(temporary: Path, output: Path) -> None:
    """Rename `temporary` to `output`, where nothing is: also if it came since it was looked for."""
    try:
        temporary.rename(output)
    except OSError as problem:
        if problem.errno in TAKEN:
            check_output(output, force=False)
        raise


def _replace(temporary: Path, output: Path) -> None:
    """Rename `temporary` to `output`; an older artifact is put aside first and back on failure."""
    aside = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
    try:
        for attempt in range(ATTEMPTS):
            check_output(output, force=True)
            older = aside / f"{attempt}"
            with suppress(FileNotFoundError):
                output.rename(older)
            try:
                temporary.rename(output)
                return
            except OSError as problem:
                if problem.errno not in TAKEN or attempt == ATTEMPTS - 1:
                    if older.exists() and not output.exists():
                        older.rename(output)
                    raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _place_file(whole: Path, output: Path) -> None:
    """Name `whole` also `output`, where nothing is: also if it came since it was looked for."""
    try:
        os.link(whole, output)
    except FileExistsError:
        check_file(output, force=False)
        raise
    except OSError:  # a file system without links
        whole.replace(output)


def _cannot_write(problem: OSError, output: Path, what: str = "FOLDER") -> CannotWriteError:
    fixes = {
        errno.ENOSPC: f"free some space, or --output {what} on another disk",
        errno.EDQUOT: f"free some space, or --output {what} on another disk",
        errno.EACCES: f"--output {what} where you may write",
        errno.EROFS: f"--output {what} where you may write",
        errno.ENOTDIR: f"--output {what} whose parents are folders",
    }
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return CannotWriteError(
        f"the output could not be written: {reason}; nothing is left of it",
        where=str(output),
        fix=fixes.get(problem.errno or 0, f"--output {what} writes elsewhere"),
    )
