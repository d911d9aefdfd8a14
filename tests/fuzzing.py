"""Fuzzing that is bounded by time: how files are damaged, and what may become of them.

SNN_DEPLOY_FUZZ_MINUTES  minutes that all fuzz tests together take; without, a few examples each
"""

import os
import signal
import struct
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MINUTES = float(os.environ.get("SNN_DEPLOY_FUZZ_MINUTES", "0"))

ROUND = 25
"""Examples that Hypothesis draws at a time."""

SECONDS = 60.0
"""Of CPU time, that reading a small file may take; what takes longer is a hang."""

EDGES = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63,
    2**64 - 1,
]
"""Numbers at which counts and sizes turn over."""


def fuzzed(
    drawn_from: st.SearchStrategy[Any], check: Callable[[Any], None], share: float, examples: int
) -> int:
    """Check what is drawn for a share of the minutes, or once; return how many were drawn.

    Each round has another seed, so that no example is drawn twice but by chance.

    Args:
        drawn_from: What is drawn.
        check: Raises what is wrong.
        share: Of the minutes.
        examples: How many without minutes.
    """
    end = time.monotonic() + 60 * MINUTES * share
    drawn, count = 0, ROUND if MINUTES else examples
    while True:
        chosen = settings(
            max_examples=count,
            deadline=None,
            database=None,
            derandomize=not MINUTES,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )

        def test(value: Any) -> None:
            check(value)

        drawing = chosen(given(drawn_from)(test))
        (seed(drawn)(drawing) if MINUTES else drawing)()
        drawn += count
        if time.monotonic() >= end:
            return drawn


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail what takes more than `SECONDS` of CPU time."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"more than {SECONDS:g} s for one small file")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """Draw a file with a few places changed, or a member of an archive that is damaged so.

    Args:
        draw: Hypothesis's.
        seeds: Files that are read.
        words: What the format is made of; a word is put where another was.
    """
    content = draw(st.sampled_from(seeds))
    if content.startswith(b"PK") and draw(st.booleans()):
        return _in_member(draw, content, seeds, words)
    return _edited(draw, content, seeds, words)


def _in_member(
    draw: st.DrawFn, content: bytes, seeds: Sequence[bytes], words: Sequence[bytes]
) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as source, zipfile.ZipFile(made, "w") as target:
        names = source.namelist()
        spoiled = draw(st.sampled_from(names))
        for name in names:
            member = source.read(name)
            target.writestr(
                name, _edited(draw, member, seeds, words) if name == spoiled else member
            )
    return made.getvalue()


def _edited(
    draw: st.DrawFn, content: bytes, seeds: Sequence[bytes], words: Sequence[bytes]
) -> bytes:
    data = bytearray(content)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 8]))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.integers(0, 8 if words else 7))
        _EDITS[kind](draw, data, at, seeds, words)
    return bytes(data)


def _flip(draw: Any, data: bytearray, at: int, *_: Any) -> None:
    if data:
        data[at] ^= 1 << draw(st.integers(0, 7))


def _set(draw: Any, data: bytearray, at: int, *_: Any) -> None:
    if data:
        data[at] = draw(st.integers(0, 255))


def _cut(draw: Any, data: bytearray, at: int, *_: Any) -> None:
    del data[at : at + draw(st.sampled_from([1, 4, 40, 10**9]))]


def _repeat(draw: Any, data: bytearray, at: int, *_: Any) -> None:
    data[at:at] = data[at : at + draw(st.sampled_from([1, 8, 300]))]


def _splice(draw: Any, data: bytearray, at: int, seeds: Sequence[bytes], *_: Any) -> None:
    other = draw(st.sampled_from(seeds))
    start = draw(st.integers(0, len(other)))
    data[at : at + 64] = other[start : start + 64]


def _number(draw: Any, data: bytearray, at: int, *_: Any) -> None:
    size, order = draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from("<>"))
    value = draw(st.sampled_from(EDGES)) % (1 << 8 * size)
    data[at : at + size] = struct.pack(order + {2: "H", 4: "I", 8: "Q"}[size], value)


def _real(draw: Any, data: bytearray, at: int, *_: Any) -> None:
    value = draw(st.sampled_from([float("nan"), float("inf"), -1e300, 5e-324, -0.0, 1e38]))
    data[at - at % 8 : at - at % 8 + 8] = struct.pack("<d", value)


def _insert(draw: Any, data: bytearray, at: int, *_: Any) -> None:
    data[at:at] = draw(st.binary(min_size=1, max_size=8))


def _word(
    draw: Any, data: bytearray, at: int, _seeds: Sequence[bytes], words: Sequence[bytes]
) -> None:
    old, new = draw(st.sampled_from(words)), draw(st.sampled_from(words))
    place = data.find(old, at)
    place = data.find(old) if place < 0 else place
    if place >= 0:
        data[place : place + len(old)] = new


_EDITS = (_flip, _set, _cut, _repeat, _splice, _number, _real, _insert, _word)
