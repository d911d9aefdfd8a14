"""Whether compiled code in the cache was compiled from these sources."""

import hashlib
from pathlib import Path

from snn_deploy.ir.neuron import CURRENTS, State


def digest() -> int:
    """Return a number that differs where any module of this simulator does."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    content = b"".join(source.read_bytes() for source in sources)
    # Constants of these modules that are made elsewhere.
    content += repr((CURRENTS, tuple(State))).encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:7], "big")


SOURCES = digest()
"""The compiler's cache follows changes of the module that holds an entry, not of those it calls;
but the numbers around a function are part of its key, so each entry is made with this one."""
