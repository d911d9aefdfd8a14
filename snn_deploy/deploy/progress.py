"""Progress bars on standard error: only on a terminal, only when a command asked for them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

wanted: ContextVar[bool] = ContextVar("wanted", default=False)
"""Set by the command line; a library call shows nothing."""

Advance = Callable[[float], None]


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
    from rich.console import Console  # noqa: PLC0415 - only where a bar is shown
    from rich.progress import (  # noqa: PLC0415 - the same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        *(TextColumn("{task.description:24}"), BarColumn()),
        *((MofNCompleteColumn(),) if counted else ()),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda amount: progress.advance(task, amount)


def say(line: str) -> None:
    """Tell what is going on, on standard error, if a command asked for it."""
    if wanted.get():
        print(line, file=sys.stderr)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something takes its time, and for how long."""
    if not (wanted.get() and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only where it is shown
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(what, total=None)
        yield
