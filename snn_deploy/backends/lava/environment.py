"""Where Lava lives: a Python 3.10 environment of its own, found, made and described.

lava-nc 0.10.0 is the last release; it runs on Python 3.10 and numpy below 2 only.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from snn_deploy.backends.lava.child import run_child
from snn_deploy.errors import BackendError, CannotWriteError, LavaFailedError, LavaMissingError

VARIABLE = "SNN_DEPLOY_LAVA_PYTHON"
"""Environment variable with the path of a Python that has lava-nc."""

PINS = (
    "lava-nc==0.10.0",
    "numpy==1.26.4",
    "scipy==1.15.3",
    "networkx==2.8.7",
    "asteval==0.9.33",
)
"""What is installed, without further dependencies: of those that lava-nc names, scikit-learn is
imported by no process that we use."""

MARKER = "complete.json"
"""File in the environment that says it works; one without it is made again."""

PROBE_LIMIT = 30.0
"""Seconds that a Python may take to say what it is."""

INSTALL_LIMIT = 1800.0
"""Seconds that making an environment or installing into it may take."""

_WHAT_IS_IT = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
_VERSIONS = (
    "import json, platform; from importlib.metadata import version; "
    "print(json.dumps([platform.python_version(), version('lava-nc'), version('numpy')]))"
)


def default_folder() -> Path:
    """Return where `setup` makes the environment: in ours if it is virtual, else in the home."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix) / "share" / "snn-deploy" / "lava"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "snn-deploy" / "lava"


def find_environment() -> Path | None:
    """Return the Python of the Lava environment; None: there is none.

    It is the one that the variable `SNN_DEPLOY_LAVA_PYTHON` names, else the one that
    `snn-deploy lava setup` made.
    """
    named = os.environ.get(VARIABLE)
    if named:
        python = Path(named).absolute()  # children run elsewhere; links stay, an environment is one
        return python if python.is_file() else None
    folder = default_folder()
    return _python_of(folder) if (folder / MARKER).is_file() else None


def required_environment(python: Path | None = None) -> Path:
    """Return `python`, or what `find_environment` finds.

    Raises:
        LavaMissingError: there is none.
    """
    found = python or find_environment()
    if found is not None:
        return found
    named = os.environ.get(VARIABLE)
    if named:
        raise LavaMissingError(
            f"{VARIABLE} names a Python that does not exist",
            where=named,
            fix=f"unset {VARIABLE} && snn-deploy lava setup",
        )
    raise LavaMissingError(
        "there is no Lava environment; everything but the backend lava works without it",
        where=str(default_folder()),
        fix="snn-deploy lava setup",
    )


def setup(path: Path | None = None, progress: Callable[[str], None] = lambda text: None) -> Path:
    """Make the Lava environment, unless it is complete already, and return its Python.

    Args:
        path: Its folder; by default `default_folder()`. What an interrupted setup left there is
            made again.
        progress: Called with what is being done.

    Raises:
        LavaMissingError: no Python 3.10 runs on this machine.
        LavaFailedError: pip could not install, or Lava does not work.
        LavaTimeoutError: it took too long.
        CannotWriteError: the folder cannot be written, or holds something else.
    """
    folder = path or default_folder()
    python = _python_of(folder)
    if (folder / MARKER).is_file():
        progress(f"the environment is complete: {folder}")
        return python
    base = find_python310()
    progress(f"making an environment with {base}")
    _prepare(folder)
    run_child(
        [base, "-m", "venv", "--clear", folder],
        what="python -m venv",
        folder=folder,
        time_limit=INSTALL_LIMIT,
    )
    progress(f"installing {', '.join(PINS)}")
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ]
    run_child(
        [*pip, "--no-deps", *PINS],
        what="pip install",
        folder=folder,
        time_limit=INSTALL_LIMIT,
        fix="see that pip reaches its package index, then snn-deploy lava setup",
    )
    progress("running one neuron in Lava")
    _check(python)
    _mark(folder, _versions(python))
    progress("the environment is complete")
    return python


def plan(path: Path | None = None) -> str:
    """Say what `setup` would do; nothing is made.

    Raises:
        LavaMissingError: no Python 3.10 runs on this machine.
        CannotWriteError: the folder holds something else.
    """
    folder = path or default_folder()
    if (folder / MARKER).is_file():
        return f"the environment is complete: {folder}"
    base = find_python310()
    if folder.is_dir():
        _refuse_foreign(folder)
    return f"would make {folder} with {base}, and install {', '.join(PINS)}"


def find_python310() -> Path:
    """Return a Python 3.10 that runs and can make environments.

    Raises:
        LavaMissingError: there is none.
    """
    tried = []
    for candidate in _candidates():
        if candidate in tried:
            continue
        tried.append(candidate)
        try:
            ended = _ask(candidate, _WHAT_IS_IT)
        except BackendError:  # a pyenv shim exists for versions that are not chosen
            continue
        if ended == "3.10":
            return candidate
    looked = ", ".join(str(path) for path in tried) or "PATH, pyenv and uv name none"
    raise LavaMissingError(
        "no Python 3.10 runs on this machine, and lava-nc 0.10.0, its last release, needs one; "
        "everything but the backend lava works without it",
        where=looked,
        fix="uv python install 3.10 (or: pyenv install 3.10), then snn-deploy lava setup",
    )


def describe() -> tuple[str, str]:
    """Return the state of the Lava environment, and a note, in words."""
    try:
        python = required_environment()
        platform, lava, numpy = _versions(python)
    except LavaMissingError as problem:
        return "missing", f"{problem.message}: {problem.fix}"
    except BackendError as problem:
        return "broken", f"{problem.where}: {problem.message.splitlines()[-1].strip(' |')}"
    return f"lava-nc {lava}", f"python {platform}, numpy {numpy}, {python}"


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _candidates() -> Iterator[Path]:
    """Yield what may be a Python 3.10, whether it runs or not."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which("python3.10", path=folder) if folder else None
        if found:
            yield Path(found)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted((root / "versions").glob("3.10*/bin/python3.10"))
    uv = shutil.which("uv")
    if uv:
        try:
            ended = run_child(
                [uv, "python", "find", "3.10"], what="uv", folder=Path("/"), time_limit=PROBE_LIMIT
            )
        except BackendError:
            return
        yield Path(ended.output.strip())


def _ask(python: Path, code: str) -> str:
    """Return what `python` prints when it runs `code`."""
    return run_child(
        [python, "-c", code], what=python.name, folder=Path("/"), time_limit=PROBE_LIMIT
    ).output.strip()


def _versions(python: Path) -> tuple[str, str, str]:
    """Return the versions of python, lava-nc and numpy in an environment."""
    said = _ask(python, _VERSIONS)
    try:
        platform, lava, numpy = json.loads(said)
    except ValueError as problem:
        raise LavaFailedError(
            f"it does not say which versions it has: {said!r:.200}",
            where=str(python),
            fix="snn-deploy lava setup",
        ) from problem
    return platform, lava, numpy


def _prepare(folder: Path) -> None:
    """Make the folder, unless something that is no environment lies there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder)
    except OSError as problem:
        raise CannotWriteError(
            f"the folder of the Lava environment cannot be made: {problem.strerror}",
            where=str(folder),
            fix="snn-deploy lava setup --path FOLDER",
        ) from problem


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds something, but no environment."""
    if any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise CannotWriteError(
            "the folder is not empty, and what it holds is no Python environment",
            where=str(folder),
            fix="snn-deploy lava setup --path FOLDER",
        )


def _mark(folder: Path, versions: tuple[str, str, str]) -> None:
    text = json.dumps(dict(zip(("python", "lava-nc", "numpy"), versions, strict=True)), indent=1)
    partial = folder / f"{MARKER}.part"
    partial.write_text(text + "\n")
    partial.replace(folder / MARKER)


def _check(python: Path) -> None:
    """Run one neuron in the environment and compare it with the reference simulator."""
    from snn_deploy.backends.lava.selftest import check  # noqa: PLC0415 - it imports this module

    check(python)
