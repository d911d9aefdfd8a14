"""Who is told, and how, that something takes its time: nobody, unless a command shows it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

Telling = Callable[[str], AbstractContextManager[object]]


def silently(what: str) -> AbstractContextManager[object]:
    """Tell nothing."""
    return nullcontext(what)


Advance = Callable[[float], None]
"""Called with how much more is done."""

Counting = Callable[[str, float], AbstractContextManager[Advance]]


@contextmanager
def uncounted(what: str, total: float) -> Iterator[Advance]:
    """Tell nothing."""
    yield lambda amount: None


telling: ContextVar[Telling] = ContextVar("telling", default=silently)
"""Called with what is done; what it returns is left when that is over."""

counting: ContextVar[Counting] = ContextVar("counting", default=uncounted)
"""The same with how much there is to do, so that the time that is left can be told."""
