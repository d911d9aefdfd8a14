"""Tells when kernels have to be compiled: once for each installation, and it takes a while."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from snn_deploy.ir.telling import telling


class Kernels(Enum):
    """Functions that are compiled together, when a program first needs them."""

    LAYERS = "layers of plain neurons"
    STEPS = "neurons of every kind"


_used: set[Kernels] = set()


@contextmanager
def first_use(needed: Iterable[Kernels], cache: Path) -> Iterator[None]:
    """Say what the run inside has to compile, if that is not in the compiler's cache.

    Args:
        needed: What it uses.
        cache: Folder of the compiler's cache; a mark there says what was compiled before.
    """
    from snn_deploy.backends.event.sources import SOURCES  # noqa: PLC0415 - reads all sources

    new = [kernels for kernels in Kernels if kernels in set(needed) - _used]
    marks = {kernels: cache / f"{kernels.name.lower()}-{SOURCES:x}.compiled" for kernels in new}
    missing = [kernels for kernels, mark in marks.items() if not mark.exists()]
    if missing:
        parts = " and ".join(kernels.value for kernels in missing)
        with telling.get()(f"compiling the simulator for {parts}, once for this installation"):
            yield
    else:
        yield
    for kernels in missing:
        with suppress(OSError):  # then it is told again; the compiler itself finds its own cache
            marks[kernels].touch()
    _used.update(new)
