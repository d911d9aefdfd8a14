"""Progress on standard error: only on a terminal, only when a command asked for it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from snn_deploy.ir.telling import Advance

wanted: ContextVar[bool] = ContextVar("wanted", default=False)
"""Set by the command line; a library call shows nothing."""


@contextmanager
def bar(title: str, total: float, *, counted: bool = False) -> Iterator[Advance]:
    """Show a bar called `title` that the given function advances; it vanishes at the end.

    Args:
        title: What is going on.
        total: How much there is to do.
        counted: Show how much of it is done, too.
    """
    if not (wanted.get() and sys.stderr.isatty()):
        yield lambda amount: None
        return
    from snn_deploy.deploy.progress_display import task  # noqa: PLC0415 - only where it is shown

    with task(title, total, counted=counted) as advance:
        yield advance


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something takes its time, and for how long."""
    if not (wanted.get() and sys.stderr.isatty()):
        yield
        return
    from snn_deploy.deploy.progress_display import task  # noqa: PLC0415 - the same

    with task(what, None):
        yield


def say(line: str) -> None:
    """Tell what is going on, on standard error, if a command asked for it."""
    if wanted.get():
        print(line, file=sys.stderr)
