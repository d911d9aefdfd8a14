"""The child process in which `faery` reads recordings: paths come in, events go out.

Each line of standard input is a path in JSON. The answer is a line of JSON, either {"problem"} or
{"sensor": [rows, columns] or null, "bytes"}, and so many bytes of events.
"""

import json
import os
import sys
from collections.abc import Iterator

import numpy as np

EVENT = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])

SEPARATE = ("-c", "from snn_deploy.deploy.datasets.camera_child import main; main()")
"""How Python is told to run it; this way it needs no file of its own."""

UNKNOWN = (65535, 65535)
"""Columns and rows that a file gets which says none."""


def main() -> None:
    """Answer until standard input ends."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever a library prints is no answer
        for line in sys.stdin.buffer:
            for part in _answer(json.loads(line), int(sys.argv[1])):
                answers.write(part)
            answers.flush()


def _answer(path: str, largest: int) -> Iterator[bytes]:
    import faery  # noqa: PLC0415 - the extra `events`

    try:
        stream = faery.events_stream_from_file(path, dimensions_fallback=UNKNOWN)
        columns, rows = stream.dimensions()
        packets, held = [], 0
        for packet in stream:
            packets.append(packet.astype(EVENT))
            held += packets[-1].nbytes
            if held > largest:
                raise ValueError(f"its events take more than {largest} bytes")
        events = np.concatenate([np.zeros(0, EVENT), *packets])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as problem:  # panics of the library are no Exceptions
        yield json.dumps({"problem": str(problem)[:500]}).encode() + b"\n"
        return
    sensor = None if (columns, rows) == UNKNOWN else [rows, columns]
    yield json.dumps({"sensor": sensor, "bytes": events.nbytes}).encode() + b"\n"
    yield events.tobytes()
