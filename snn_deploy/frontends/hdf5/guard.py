"""What the HDF5 library does not check itself: damage that would make it run for ever.

Texts of variable length lie in "global heaps". The library walks through one object by object,
and stands still at a free one of size 0. Everything else that is wrong it reports.
"""

import mmap
import struct
from collections.abc import Iterator

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEAP_START = b"GCOL\x01\x00\x00\x00"
"""Signature, version 1 and three reserved bytes of a global heap; the library reads no other."""

HEADER = struct.Struct("<8xQ")
"""Of a heap: its size, this header included."""

Image = bytes | mmap.mmap
"""The bytes of a file, in memory or mapped."""

OBJECT = struct.Struct("<HH4xQ")
"""Of one object: its index (0: free), its references, its size."""

LARGEST_HEAP = 2**28
"""Bytes of a heap; the library makes them as small as it can, 4096 mostly."""


def is_safe(image: Image) -> bool:
    """Return whether the library can be trusted with an image.

    It cannot with what is not HDF5 from its first byte on, has addresses of another width than
    64 bits, or a global heap that the library would not get through.
    """
    return (
        image[: len(SIGNATURE)] == SIGNATURE and _has_wide_addresses(image) and not _is_stuck(image)
    )


def _has_wide_addresses(image: Image) -> bool:
    """Return whether offsets and lengths have 8 bytes, as in every file of a 64-bit machine."""
    if len(image) < 16:
        return False
    widths = image[13:15] if image[8] < 2 else image[9:11]  # superblock 0 and 1, then 2 and 3
    return widths == b"\x08\x08"


def _is_stuck(image: Image) -> bool:
    return any(not _can_be_walked(image, start) for start in _heaps(image))


def _heaps(image: Image) -> Iterator[int]:
    start = image.find(HEAP_START)
    while start >= 0:
        yield start
        start = image.find(HEAP_START, start + 1)


def _can_be_walked(image: Image, start: int) -> bool:
    """Return whether a walk over the objects of a heap goes on to its end."""
    if start + HEADER.size > len(image):
        return False
    (size,) = HEADER.unpack_from(image, start)
    end = start + size
    if size > LARGEST_HEAP or end > len(image):
        return False
    place = start + HEADER.size
    while place + OBJECT.size <= end:
        index, _, length = OBJECT.unpack_from(image, place)
        taken = length if index == 0 else OBJECT.size + -(-length // 8) * 8
        if taken < OBJECT.size:
            return False
        place += taken
    return place <= end
