"""Room in the address space, looked for before libraries that cannot do without it.

OpenBLAS asks for its buffers again and again, for ever, where a limit (ulimit -v) refuses them, and
LLVM ends the process. So there is a numbered error before they are loaded or called.
"""

import mmap
import os
from contextlib import closing
from math import prod

from snn_deploy.errors import MemoryShortError

MIB = 2**20

UNPACKS_TO = 1100
"""Times its size that a file can unpack to, rounded up: deflate packs 1032 zeros into a byte."""

PROBE = 64 * MIB
"""Where this much is not to be had, memory is short."""

ARRAYS = 160 * MIB
"""For numpy and its OpenBLAS on one thread, and h5py: `export` of the demo network takes 100 MiB
beyond the interpreter and the command line."""

COMPILER = 480 * MIB
"""For numba, LLVM, scipy with an OpenBLAS of its own, and what they compile: `simulate` of the demo
network takes 400 MiB beyond what `export` does."""


def limit() -> int | None:
    """Return the limit on the address space of this process [bytes]; None: there is none."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def look_for(room: int, what: str) -> None:
    """See that there is room; without a limit nothing is done.

    Args:
        room: Bytes of the address space.
        what: What it is for, in words.

    Raises:
        MemoryShortError: there is not.
    """
    limited = limit()
    if limited is None:
        return
    try:
        with closing(mmap.mmap(-1, room)):
            pass
    except OSError as problem:
        raise MemoryShortError(
            f"{what} takes {room // MIB} MiB, and the limit on this process, {limited // MIB} MiB, "
            "leaves less",
            fix="a higher limit, such as ulimit -v 2000000, or none: ulimit -v unlimited",
        ) from problem


def begin() -> None:
    """Under a limit, load numpy and have OpenBLAS take its buffer while there is room for it.

    Threads of OpenBLAS take buffers of their own, so it gets one, unless the environment says
    otherwise. Without a limit nothing is done.

    Raises:
        MemoryShortError: there is no room.
    """
    if limit() is None:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    look_for(ARRAYS, "loading numpy and h5py")
    import numpy as np  # noqa: PLC0415 - not before there is room

    side = np.ones((128, 128))
    np.matmul(side, side)


def check_short(problem: Exception, file_bytes: int) -> None:
    """Pass what a reader met in a damaged file, and raise what comes of short memory.

    A header that was damaged can ask for an array of any size; one of more than the file can
    unpack to says that the file is damaged.

    Args:
        problem: What numpy, zlib or HDF5 raised.
        file_bytes: Of the file.

    Raises:
        MemoryError: memory is short.
    """
    if isinstance(problem, MemoryError):
        shape, dtype = getattr(problem, "shape", (0,)), getattr(problem, "dtype", None)
        if dtype is None or prod(shape) * dtype.itemsize <= UNPACKS_TO * file_bytes:
            raise problem
    elif "alloc" in str(problem).lower():  # HDF5 says only in words that it had no memory
        bytearray(PROBE)
