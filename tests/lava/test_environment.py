"""The Lava environment: where it is looked for, how it is made, what is said where it is not."""

import os
import stat
import sys
from pathlib import Path

import pytest

from snn_deploy.backends.lava import environment
from snn_deploy.backends.lava.environment import (
    MARKER,
    PINS,
    VARIABLE,
    default_folder,
    describe,
    find_environment,
    find_python310,
    required_environment,
    setup,
)
from snn_deploy.errors import CannotWriteError, LavaFailedError, LavaMissingError


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Python 3.10, pyenv, uv or Lava; return its folder for programs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return programs


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


PYTHON310 = """
case "$1 $2 $3" in
    "-m venv --clear") /bin/mkdir -p "$4/bin"; /bin/cp "$0" "$4/bin/python"; > "$4/pyvenv.cfg";;
    "-m pip install") echo "$@" >> "$0.installed";;
    "-c import ensurepip"*) echo 3.10;;
    *) echo '["3.10.13", "0.10.0", "1.26.4"]';;
esac
"""


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of Pythons in which the one neuron was run; it always works."""
    seen: list[Path] = []
    monkeypatch.setattr(environment, "_check", seen.append)
    return seen


def test_the_variable_names_the_environment(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = program(empty_machine / "lava", "")
    monkeypatch.setenv(VARIABLE, str(python))
    assert find_environment() == python
    assert required_environment() == python


def test_a_variable_that_names_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/no/such/python")
    assert find_environment() is None
    with pytest.raises(LavaMissingError) as caught:
        required_environment()
    assert str(caught.value) == (
        "error[SNN501]: SNN_DEPLOY_LAVA_PYTHON names a Python that does not exist\n"
        "  at: /no/such/python\n"
        "  fix: unset SNN_DEPLOY_LAVA_PYTHON && snn-deploy lava setup"
    )


def test_the_default_place_is_inside_the_virtual_environment() -> None:
    assert default_folder() == Path(sys.prefix) / "share" / "snn-deploy" / "lava"


def test_without_a_virtual_environment_the_default_place_is_in_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_folder() == tmp_path / "data" / "snn-deploy" / "lava"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".local" / "share" / "snn-deploy" / "lava"


def test_without_an_environment_the_error_says_what_to_do() -> None:
    assert find_environment() is None
    with pytest.raises(LavaMissingError) as caught:
        required_environment()
    assert str(caught.value) == (
        "error[SNN501]: there is no Lava environment; everything but the backend lava works "
        "without it\n"
        f"  at: {default_folder()}\n"
        "  fix: snn-deploy lava setup"
    )
    assert describe() == (
        "missing",
        "there is no Lava environment; everything but the backend lava works without it: "
        "snn-deploy lava setup",
    )


def test_a_python_on_the_path_is_taken_unless_it_does_not_run(
    empty_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(empty_machine / "python3.10", "echo 'pyenv: command not found' >&2; exit 127")
    works = program(tmp_path / "more" / "python3.10", PYTHON310)
    monkeypatch.setenv("PATH", f"{empty_machine}{os.pathsep}{tmp_path / 'more'}")
    assert find_python310() == works


def test_a_python_of_pyenv_is_found_though_its_shim_fails(
    empty_machine: Path, tmp_path: Path
) -> None:
    program(empty_machine / "python3.10", "exit 127")
    works = program(tmp_path / "pyenv/versions/3.10.13/bin/python3.10", PYTHON310)
    assert find_python310() == works


def test_a_python_that_uv_knows_is_found(empty_machine: Path, tmp_path: Path) -> None:
    works = program(tmp_path / "uv-python" / "python3.10", PYTHON310)
    program(empty_machine / "uv", f'[ "$*" = "python find 3.10" ] && echo {works}')
    assert find_python310() == works


def test_a_uv_that_knows_none_is_no_error_of_its_own(empty_machine: Path) -> None:
    program(empty_machine / "uv", "exit 2")
    with pytest.raises(LavaMissingError):
        find_python310()


def test_without_python_310_the_error_says_what_was_tried_and_how_to_get_one(
    empty_machine: Path,
) -> None:
    shim = program(empty_machine / "python3.10", "exit 127")
    with pytest.raises(LavaMissingError) as caught:
        setup()
    assert str(caught.value) == (
        "error[SNN501]: no Python 3.10 runs on this machine, and lava-nc 0.10.0, its last "
        "release, needs one; everything but the backend lava works without it\n"
        f"  at: {shim}\n"
        "  fix: uv python install 3.10 (or: pyenv install 3.10), then snn-deploy lava setup"
    )


def test_setup_makes_an_environment_that_is_found_then(
    empty_machine: Path, checked: list[Path]
) -> None:
    program(empty_machine / "python3.10", PYTHON310)
    said: list[str] = []
    python = setup(progress=said.append)
    assert python == find_environment() == default_folder() / "bin" / "python"
    assert checked == [python]
    installed = (python.parent / "python.installed").read_text()
    assert installed.endswith(f"--no-deps {' '.join(PINS)}\n")
    assert said == [
        f"making an environment with {empty_machine / 'python3.10'}",
        "installing lava-nc==0.10.0, numpy==1.26.4, scipy==1.15.3, networkx==2.8.7, "
        "asteval==0.9.33",
        "running one neuron in Lava",
        "the environment is complete",
    ]
    assert (default_folder() / MARKER).read_text() == (
        '{\n "python": "3.10.13",\n "lava-nc": "0.10.0",\n "numpy": "1.26.4"\n}\n'
    )
    assert describe() == ("lava-nc 0.10.0", f"python 3.10.13, numpy 1.26.4, {python}")


def test_a_complete_environment_is_left_alone(empty_machine: Path, checked: list[Path]) -> None:
    program(empty_machine / "python3.10", PYTHON310)
    setup()
    said: list[str] = []
    setup(progress=said.append)
    assert said == [f"the environment is complete: {default_folder()}"]
    assert len(checked) == 1


def test_an_environment_that_fails_its_check_is_not_found_and_made_again(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(empty_machine / "python3.10", PYTHON310)

    def fails(python: Path) -> None:
        raise LavaFailedError("one neuron has other states", where=str(python))

    monkeypatch.setattr(environment, "_check", fails)
    with pytest.raises(LavaFailedError):
        setup()
    assert find_environment() is None
    monkeypatch.setattr(environment, "_check", lambda python: None)
    assert setup() == find_environment()


def test_a_pip_that_fails_shows_its_last_lines(empty_machine: Path, tmp_path: Path) -> None:
    failing = PYTHON310.replace(
        'echo "$@" >> "$0.installed"', "echo 'ERROR: no matching distribution' >&2; exit 1"
    )
    program(empty_machine / "python3.10", failing)
    with pytest.raises(LavaFailedError) as caught:
        setup(tmp_path / "here")
    assert str(caught.value) == (
        "error[SNN503]: pip install ended with status 1\n"
        "    | ERROR: no matching distribution\n"
        f"  at: {tmp_path / 'here' / 'bin' / 'python'}\n"
        "  fix: see that pip reaches its package index, then snn-deploy lava setup"
    )


def test_setup_does_not_touch_a_folder_that_holds_something_else(
    empty_machine: Path, tmp_path: Path
) -> None:
    program(empty_machine / "python3.10", PYTHON310)
    letter = tmp_path / "mine" / "letter.txt"
    letter.parent.mkdir()
    letter.write_text("dear")
    with pytest.raises(CannotWriteError) as caught:
        setup(letter.parent)
    assert str(caught.value) == (
        "error[SNN602]: the folder is not empty, and what it holds is no Python environment\n"
        f"  at: {letter.parent}\n"
        "  fix: snn-deploy lava setup --path FOLDER"
    )
    assert letter.read_text() == "dear"


def test_setup_says_where_it_cannot_write(empty_machine: Path, tmp_path: Path) -> None:
    program(empty_machine / "python3.10", PYTHON310)
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match="cannot be made: Not a directory"):
        setup(tmp_path / "file" / "lava")


def test_an_environment_that_does_not_start_is_described_as_broken(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = program(empty_machine / "lava", "echo 'no module named lava' >&2; exit 1")
    monkeypatch.setenv(VARIABLE, str(python))
    assert describe() == ("broken", f"{python}: no module named lava")


def test_an_environment_that_says_nonsense_is_described_as_broken(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = program(empty_machine / "lava", "echo hello")
    monkeypatch.setenv(VARIABLE, str(python))
    assert describe() == (
        "broken",
        f"{python}: it does not say which versions it has: 'hello'",
    )
