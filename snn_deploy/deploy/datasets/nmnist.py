"""Recordings of 5 bytes an event, as N-MNIST and N-Caltech101 have them (Orchard et al. 2015)."""

from pathlib import Path

import numpy as np

from snn_deploy.deploy.datasets.binning import Events
from snn_deploy.deploy.datasets.source import unreadable
from snn_deploy.errors import DataError

EVENT_BYTES = 5
"""x, y, and a time of 23 bits in microseconds with the polarity in the bit above (Orchard et al.
2015, Frontiers in Neuroscience 9:437, section 2.2)."""

WRAP_ROW = 240
"""An event in this row is none: from it on, time is later by `WRAP_TIME`. Sensors of this format
have fewer rows (the readers that the authors published with the data)."""

WRAP_TIME = 1 << 13
"""Microseconds."""


def read(path: Path) -> Events:
    """Return the events of a recording; it does not say how large the sensor is.

    Raises:
        DataError: the file is no such recording.
    """
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as problem:
        raise unreadable(problem, path) from problem
    if raw.size == 0 or raw.size % EVENT_BYTES:
        raise DataError(
            f"{raw.size} bytes are no recording of {EVENT_BYTES}-byte events", where=str(path)
        )
    x, y, *rest = raw.reshape(-1, EVENT_BYTES).astype(np.int64).T
    time = (rest[0] & 127) << 16 | rest[1] << 8 | rest[2]
    wraps = y == WRAP_ROW
    time += WRAP_TIME * np.cumsum(wraps)
    there = ~wraps
    return Events(time=time[there], x=x[there], y=y[there], polarity=(rest[0] >> 7)[there])
