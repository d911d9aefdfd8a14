"""Who is told, and how, that something takes its time: nobody, unless a command shows it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

Telling = Callable[[str], AbstractContextManager[object]]


def silently(what: str) -> AbstractContextManager[object]:
    """Tell nothing."""
    return nullcontext(what)


telling: ContextVar[Telling] = ContextVar("telling", default=silently)
"""Called with what is done; what it returns is left when that is over."""
