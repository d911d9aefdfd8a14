"""How the time of the event simulator grows: with activity, width, depth, batch and steps.

One thread. All points of a curve are run in rounds, one after another, and each point keeps its
shortest time: what else the machine does lengthens times and never shortens them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from case import synapses_of
from networks import LEAK, Case, Kind, Layer, calibrated, dense_case, noise, weights

from snn_deploy.backends.event import EventBackend
from snn_deploy.ir.trace import COUNTS, Trace

ROUNDS = 5
BATCH = 16
ACTIVITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
WIDTHS = (128, 256, 512, 1024, 2048)
DEPTHS = (1, 2, 4, 8, 16)
BATCHES = (1, 4, 16, 64, 256)
STEPS = (25, 50, 100, 200, 400, 800)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One network to time."""

    x: float
    case: Case
    batch: int = BATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The least-squares line through the points, and the share of the variance it explains."""

    slope: float
    offset: float
    r2: float


def fitted(x: Sequence[float], y: Sequence[float]) -> Fit:
    """Return the straight line through points."""
    slope, offset = np.polyfit(x, y, 1)
    left = np.asarray(y) - (slope * np.asarray(x) + offset)
    spread = np.var(y)
    r2 = 1 - float(np.var(left) / spread) if spread > 0 else 1.0
    return Fit(slope=float(slope), offset=float(offset), r2=r2)


def curves(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return all curves: name, unit of x, points and line."""
    found = []
    for name, unit, points in _plans():
        say(f"curve: {name}")
        found.append(_curve(name, unit, points))
    return found


def _plans() -> list[tuple[str, str, list[Point]]]:
    def dense(sizes: tuple[int, ...], steps: int, activity: float = 0.05) -> Case:
        return dense_case(
            "curve", sizes, steps=steps, rate=activity, activity=activity, samples=BATCH
        )

    by_batch = dense((784, 512, 512, 10), 100)
    return [
        (
            "activity",
            "synaptic operations [1e6]",
            [Point(x=a, case=dense((512,) * 4, 50, a)) for a in ACTIVITIES],
        ),
        (
            "width",
            "synaptic operations [1e6]",
            [Point(x=w, case=dense((w,) * 3, 25)) for w in WIDTHS],
        ),
        ("depth", "layers", [Point(x=d, case=dense((256,) * (d + 1), 50)) for d in DEPTHS]),
        ("batch", "samples", [Point(x=b, case=by_batch, batch=b) for b in BATCHES]),
        ("steps", "steps", [Point(x=t, case=dense((256,) * 4, t)) for t in STEPS]),
    ]


def _timed(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return the time of each point's run [ms], and its synaptic operations a sample [1e6]."""
    backend = EventBackend(threads=1)
    ready = [(p.case.program, p.case.batch(p.batch)) for p in points]
    traces = [backend.run(program, inputs, COUNTS) for program, inputs in ready]
    best = [float("inf")] * len(points)
    for _ in range(ROUNDS):
        for i, (program, inputs) in enumerate(ready):
            start = perf_counter()
            backend.run(program, inputs, COUNTS)
            best[i] = min(best[i], 1000 * (perf_counter() - start))
    used = [_operations(p.case, t) / 1e6 / p.batch for p, t in zip(points, traces, strict=True)]
    return best, used


def _curve(name: str, unit: str, points: Sequence[Point]) -> dict[str, Any]:
    best, used = _timed(points)
    each = [t / (1 if name == "batch" else p.batch) for t, p in zip(best, points, strict=True)]
    x = used if "operations" in unit else [p.x for p in points]
    line = fitted(x, each)
    return {
        "name": name,
        "unit": unit,
        "what": "ms a run" if name == "batch" else "ms a sample",
        "x": x,
        "of": [p.x for p in points],
        "ms": each,
        "operations": used,
        "slope": line.slope,
        "offset": line.offset,
        "r2": line.r2,
    }


def _operations(case: Case, trace: Trace) -> float:
    """Return the synaptic operations of a whole run on the first samples of the case."""
    batch = len(trace.populations[0].events)
    inputs = case.batch(batch)[0].values.reshape(batch, case.steps, -1)
    sent = {"input": np.count_nonzero(inputs, axis=(0, 1))}
    sent |= {p.name: p.events.sum(axis=0).ravel() for p in trace.populations}
    return float(sum(sent[p.source] @ synapses_of(p.map) for p in case.program.projections))


# --- single layers, for the share of the roofline ---------------------------------------------


def layers() -> list[dict[str, Any]]:
    """Return the rate of single layers on one thread [synaptic operations a second].

    A layer's time has its input, its neurons and the call in it, as in any network.
    """
    rows = []
    for case, kernel in (
        (_dense_layer(0.05), "dense {} L2"),
        (_dense_layer(0.2), "dense {} L2"),
        (_convolution_layer(0.04), "short {}"),
        (_convolution_layer(0.15), "short {}"),
    ):
        batch = 2 * BATCH
        (milliseconds,), (millions,) = _timed([Point(x=0, case=case, batch=batch)])
        rate = 1e9 * millions * batch / milliseconds
        rows.append({"name": case.title, "rate": rate, "kernel": kernel})
    return rows


def _dense_layer(rate: float) -> Case:
    case = dense_case("dense", (784, 512), steps=100, rate=rate, samples=BATCH)
    return replace(case, title=f"dense 784-512, input {100 * rate:.0f} %")


def _convolution_layer(rate: float) -> Case:
    rng = np.random.default_rng(6)
    layer = Layer(
        name="conv",
        kind=Kind.CONVOLUTION,
        shape=(16, 28, 28),
        weight=weights(rng, (16, 16, 5, 5)),
        decay=LEAK,
    )
    inputs = noise(rng, BATCH, 20, 16 * 32 * 32, rate).reshape(BATCH, 20, 16, 32, 32)
    return calibrated(
        Case(
            name="convolution",
            title=f"convolution 5x5, 16 to 16 channels, 32x32, input {100 * rate:.0f} %",
            steps=20,
            shape=(16, 32, 32),
            layers=(layer,),
            inputs=inputs,
        )
    )
