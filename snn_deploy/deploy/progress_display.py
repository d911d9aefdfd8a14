"""What progress looks like: a line for each thing that goes on, on one display."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from snn_deploy.ir.telling import Advance

BAR = 24
"""Columns of a bar."""


class _Done(ProgressColumn):
    """How much is done, where that is wanted."""

    def render(self, task: Task) -> Text:
        """Return it, such as 12/60."""
        if not task.fields["counted"] or task.total is None:
            return Text()
        return Text(f"{task.completed:.0f}/{task.total:.0f}", style="progress.download")


class _Time(ProgressColumn):
    """The time that is left, at the pace so far; where there is none, the time that has passed."""

    def render(self, task: Task) -> Text:
        """Return it, such as 0:01:20 left."""
        passed = task.elapsed or 0.0
        if not task.total or not task.completed:
            return Text(f"{timedelta(seconds=int(passed))}", style="progress.elapsed")
        left = passed * max(0.0, task.total - task.completed) / task.completed
        return Text(f"{timedelta(seconds=int(left))} left", style="progress.remaining")


_shown: list[Progress] = []
"""The display, while there is one: a second one on the same terminal would draw over it."""


@contextmanager
def task(title: str, total: float | None, *, counted: bool = False) -> Iterator[Advance]:
    """Show a line until the end, below those that are shown already."""
    if _shown:
        with _line(_shown[0], title, total, counted=counted) as advance:
            yield advance
        return
    columns = (TextColumn("{task.description}"), BarColumn(BAR), _Done(), _Time())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        _shown.append(progress)
        try:
            with _line(progress, title, total, counted=counted) as advance:
                yield advance
        finally:
            _shown.clear()


@contextmanager
def _line(
    progress: Progress, title: str, total: float | None, *, counted: bool
) -> Iterator[Advance]:
    line = progress.add_task(title, total=total, counted=counted)
    try:
        yield lambda amount: progress.advance(line, amount)
        progress.refresh()  # all of it is seen, however quick the last part was
    finally:
        progress.remove_task(line)
