"""Progress: only on a terminal, one display, and the time that is left."""

import io
import re
from contextvars import ContextVar
from types import SimpleNamespace

import pytest

pytest.importorskip("rich")

from rich.console import Console

from snn_deploy.deploy import progress, progress_display
from snn_deploy.deploy.progress import bar, waiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return what is written on standard error, as if it were a terminal."""
    stream = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    console = Console(file=stream, force_terminal=True, width=80)
    monkeypatch.setattr(progress_display, "Console", lambda stderr: console)
    monkeypatch.setattr(progress, "wanted", ContextVar("wanted", default=True))
    return stream


def shown() -> str:
    """Return the lines that are displayed now."""
    console = Console(width=80, file=io.StringIO())
    console.print(progress_display._shown[0])
    return console.file.getvalue()


def test_the_time_that_is_left_goes_by_the_pace_so_far(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = progress_display.Progress
    now = [0.0]
    monkeypatch.setattr(
        progress_display, "Progress", lambda *c, **k: made(*c, **k, get_time=lambda: now[0])
    )
    with bar("scales", 60, counted=True) as advance:
        now[0] = 5.0
        assert "0/60 0:00:05" in shown()
        advance(20)
        now[0] = 10.0
        assert "20/60 0:00:20 left" in shown()


def test_what_goes_on_within_something_else_is_a_line_below_it(terminal: Terminal) -> None:
    with bar("outer", 2) as advance:
        with waiting("inner"):
            assert [line.split()[0] for line in shown().splitlines()] == ["outer", "inner"]
        advance(1)
        assert "inner" not in shown()
        with pytest.raises(KeyboardInterrupt), waiting("broken"):
            raise KeyboardInterrupt
        assert "broken" not in shown()
    assert progress_display._shown == []


def test_nothing_stays_on_the_terminal(terminal: Terminal) -> None:
    with bar("outer", 1):
        pass
    *_, last = terminal.getvalue().split("\x1b[2K")
    assert re.sub(r"\x1b\[\?25h|\r", "", last) == ""


@pytest.mark.parametrize("asked", [True, False])
def test_a_pipe_gets_no_progress(
    asked: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "wanted", ContextVar("wanted", default=asked))
    with bar("scales", 1) as advance, waiting("long"):
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_library_call_on_a_terminal_shows_nothing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "wanted", ContextVar("wanted", default=False))
    with bar("scales", 1) as advance, waiting("long"):
        advance(1)
    assert terminal.getvalue() == ""
