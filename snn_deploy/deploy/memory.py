"""Memory that ran out, told from bugs: one numbered error in place of a traceback."""

import errno
from collections.abc import Iterator

from snn_deploy.errors import MemoryShortError

SIGNS = ("failed to map segment", "cannot allocate memory", "can't start new thread")
"""What the dynamic loader and Python say, in lower case, when there is no room for a library or for
the stack of a thread."""


HIGHER = "a higher limit (ulimit -v), a machine with more memory"
"""What always helps."""

ADVICE = {
    "export": "--calibrate with a smaller file",
    "simulate": "fewer --samples",
    "verify": "fewer --samples",
    "evaluate": "a smaller --block, fewer --workers",
    "estimate": "fewer --samples",
    "report": "fewer --samples",
    "tune": "fewer --samples, fewer --workers",
    **dict.fromkeys(("inspect", "nir", "netx", "diff"), ""),
}
"""What needs less memory, by command; those that are not here load no numpy."""


def memory_short(problem: BaseException, advice: str = "") -> MemoryShortError | None:
    """Return the error for memory that ran out; None: `problem` is about something else.

    Libraries wrap what the system said, so the whole chain of causes is looked at.

    Args:
        problem: What was raised.
        advice: What would need less.
    """
    for one in _chain(problem):
        if isinstance(one, MemoryError):
            said = str(one)
        elif isinstance(one, OSError | ImportError | RuntimeError) and _says_so(one):
            said = f"{type(one).__name__}: {one}".splitlines()[0]
        else:
            continue
        return MemoryShortError(
            f"the memory did not suffice{': ' * bool(said)}{said}",
            fix=f"{advice}; or {HIGHER}" if advice else HIGHER,
        )
    return None


def _says_so(problem: OSError | ImportError | RuntimeError) -> bool:
    text = str(problem).lower()
    return getattr(problem, "errno", None) == errno.ENOMEM or any(sign in text for sign in SIGNS)


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while problem is not None and id(problem) not in seen:
        seen.add(id(problem))
        yield problem
        problem = problem.__cause__ or problem.__context__
