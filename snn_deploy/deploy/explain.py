"""Which cause each divergence of one layer has, found by putting one cause back at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int64, Num

from snn_deploy.backends.protocol import Backend
from snn_deploy.deploy.alone import Payloads, given, run_real, run_whole
from snn_deploy.deploy.as_stored import Layer
from snn_deploy.deploy.causes import Cause
from snn_deploy.deploy.putting_back import differing, put_back
from snn_deploy.ir.arithmetic import WIDEST
from snn_deploy.ir.network import Arithmetic, Network
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Program
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import PopulationTrace, Recording

SPIKES_AND_MEMBRANES = Recording(states=frozenset({State.PAYLOAD, State.MEMBRANE}))

Place = tuple[int, ...]
"""Row of the run, then the neuron."""

EXAMINED = 8
"""Rows of a run in which the causes of divergences are looked for, those that diverge first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A layer on some samples: what feeds it, what it should send, what it sends."""

    real: Payloads
    """What every source sends, in real values."""

    whole: Payloads
    """The same as the integers that the layer reads."""

    wanted: Num[np.ndarray, "sample step ..."]
    """What the layer sends as trained."""

    got: PopulationTrace
    """What the layer of integers sends, fed with `whole`."""

    def rows(self, chosen: Sequence[int]) -> "Run":
        """Return some of the samples."""
        index = np.asarray(chosen, np.int64)
        return Run(
            real={name: values[index] for name, values in self.real.items()},
            whole={name: values[index] for name, values in self.whole.items()},
            wanted=self.wanted[index],
            got=_rows(self.got, index),
        )


def _rows(trace: PopulationTrace, index: Int64[np.ndarray, " chosen"]) -> PopulationTrace:
    """Return some rows of a trace; its overflows are those of all."""
    return replace(
        trace,
        events=trace.events[index],
        spikes=trace.spikes[index],
        states={state: record[index] for state, record in trace.states.items()},
    )


def first_step(
    wanted: Num[np.ndarray, "sample step ..."], got: Num[np.ndarray, "sample step ..."]
) -> Int64[np.ndarray, "sample ..."]:
    """Return the first step in which each neuron sends something else; the steps if never."""
    wrong = wanted != got
    never = wanted.shape[1]
    return np.where(wrong.any(axis=1), wrong.argmax(axis=1), never).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the runs of one layer have in common."""

    layer: Layer
    program: Program
    prepared: Network
    """The real-valued network in the form that was rounded."""

    backend: Backend
    """Runs the integers."""


class Explanation:
    """Why a layer diverges in some samples: each first divergence of a neuron with its causes.

    Args:
        bench: The layer, and what it is a part of.
        run: What it was fed with and what it sent.
        chosen: Rows of the run that are examined.
    """

    def __init__(self, bench: Bench, run: Run, chosen: Sequence[int]) -> None:
        part = run.rows(chosen)
        assert part.got.payload is not None
        first = first_step(part.wanted, part.got.payload)
        self._row = {row: index for index, row in enumerate(chosen)}
        self._diverges = first < part.wanted.shape[1]
        self._trials = _Trials(bench=bench, run=part, first=first)
        self._repaired = self._trials.repaired() if self._diverges.any() else {}

    @property
    def places(self) -> int:
        """First divergences of a neuron in a sample."""
        return int(np.count_nonzero(self._diverges))

    def counts(self) -> Mapping[Cause, int]:
        """Return how many divergences each cause repairs alone, and of how many there is none."""
        found = {c: int(np.count_nonzero(m & self._diverges)) for c, m in self._repaired.items()}
        any_cause = np.zeros_like(self._diverges)
        for mask in self._repaired.values():
            any_cause = any_cause | mask
        found[Cause.SEVERAL] = int(np.count_nonzero(self._diverges & ~any_cause))
        return {cause: count for cause, count in found.items() if count}

    def at(self, place: Place) -> tuple[Cause, ...]:
        """Return the causes that each repair the first divergence at `place`, a row and a neuron.

        Where there is none: `SEVERAL`, and after it those that repair it together.
        """
        at = (self._row[place[0]], *place[1:])
        alone = tuple(cause for cause, mask in self._repaired.items() if mask[at])
        return alone or self._trials.together(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trials:
    """Runs of a layer with something put back."""

    bench: Bench
    run: Run
    first: Int64[np.ndarray, "sample ..."]

    @property
    def layer(self) -> Layer:
        """What is run."""
        return self.bench.layer

    def repaired(self) -> Mapping[Cause, Bool[np.ndarray, "sample ..."]]:
        """Return, for each cause, which divergences go away when it alone is put back.

        What the layer sends as prepared for the chip, in real values, comes first: where that
        differs already, nothing that is stored is to blame. Then the chip's arithmetic: without
        it the stored numbers may send what they should. Only where they do not are they put back
        one by one.
        """
        trained = self.bench.prepared
        found = {Cause.REWRITING: ~self._mended(self._real(trained))}
        blamed = found[Cause.REWRITING]
        in_float64 = self._real(replace(trained, arithmetic=Arithmetic.FLOAT64))
        found[Cause.FLOATING_POINT] = ~self._mended(in_float64) & ~blamed
        blamed = blamed | found[Cause.FLOATING_POINT]
        right = self._mended(self._payload(())) & ~blamed
        if self.run.got.overflows:
            found[Cause.OVERFLOW] = self._mended(self._without_overflow()) & ~blamed
            right = right & ~found[Cause.OVERFLOW]
            blamed = blamed | found[Cause.OVERFLOW]
        found[Cause.STATE_ROUNDING] = right
        blamed = blamed | right
        for cause in _candidates(self.layer, self.run):
            found[cause] = self._mended(self._payload((cause,))) & ~blamed
        return found

    def _real(self, network: Network) -> Num[np.ndarray, "sample step ..."]:
        """Return what the layer sends as trained, in the form that was rounded."""
        payload = run_real(network, self.layer.name, self.run.real).payload
        assert payload is not None
        return payload

    def together(self, place: Place) -> tuple[Cause, ...]:
        """Return `SEVERAL` and the first causes, in their order, that together repair `place`."""
        tried: tuple[Cause, ...] = ()
        for cause in _candidates(self.layer, self.run):
            tried = (*tried, cause)
            if self._mended(self._payload(tried))[place]:
                break
        else:
            return (Cause.SEVERAL, *tried, Cause.STATE_ROUNDING)
        for cause in tried[:-1]:
            fewer = tuple(c for c in tried if c is not cause)
            if self._mended(self._payload(fewer))[place]:
                tried = fewer
        return (Cause.SEVERAL, *tried)

    def _mended(
        self, payload: Num[np.ndarray, "sample step ..."]
    ) -> Bool[np.ndarray, "sample ..."]:
        """Return which neurons send what they should up to their first divergence and in it."""
        return np.asarray(first_step(self.run.wanted, payload) > self.first)

    def _payload(self, causes: Sequence[Cause]) -> Num[np.ndarray, "sample step ..."]:
        payload = _exact(self.layer, self.run, causes).payload
        assert payload is not None
        return payload

    def _without_overflow(self) -> Num[np.ndarray, "sample step ..."]:
        """Return what the integers send where every register has `WIDEST` bits."""
        arithmetic = self.bench.program.arithmetic
        wide = replace(
            self.bench.program,
            arithmetic=replace(
                arithmetic,
                current=replace(arithmetic.current, bits=WIDEST),
                membrane=replace(arithmetic.membrane, bits=WIDEST),
                accumulator=None,
            ),
        )
        payload = run_whole(wide, self.layer.name, self.run.whole, self.bench.backend).payload
        assert payload is not None
        return payload


def drifts(
    layer: Layer, run: Run, wanted: Float[np.ndarray, "sample step ..."]
) -> Mapping[Cause | None, float]:
    """Return the error of a readout's membranes, as it is (None) and with one cause put back.

    Args:
        layer: As trained and as stored.
        run: What it was fed with.
        wanted: Its membranes as trained, in state units.

    Returns:
        Root mean square errors [state units]; of `STATE_ROUNDING` that with all else as stored.
    """
    found: dict[Cause | None, float] = {}
    for cause in (None, Cause.STATE_ROUNDING, *_candidates(layer, run)):
        trace = run.got
        if cause is not None:
            trace = _exact(layer, run, () if cause is Cause.STATE_ROUNDING else (cause,))
        assert trace.membrane is not None
        found[cause] = float(np.sqrt(np.mean(np.square(trace.membrane - wanted))))
    return found


def _candidates(layer: Layer, run: Run) -> tuple[Cause, ...]:
    """Return the causes in which anything differs at all."""
    rounded = any(np.any(run.whole[s] != run.real[s] / layer.unit(s)) for s in layer.sources)
    return (*differing(layer), *((Cause.INPUT,) if rounded else ()))


def _exact(layer: Layer, run: Run, causes: Sequence[Cause]) -> PopulationTrace:
    """Return the stored layer in exact arithmetic, with `causes` put back, in state units."""
    sent = run.whole
    if Cause.INPUT in causes:
        sent = {s: run.real[s] / layer.unit(s) for s in layer.sources}
    network = put_back(layer, causes)
    return simulate(network, given(layer.sources, sent), SPIKES_AND_MEMBRANES)[layer.name]
