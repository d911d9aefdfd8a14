"""One layer while it is compared with what it should send: counts, first divergences, causes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Num

from snn_deploy.backends.protocol import Backend
from snn_deploy.deploy import runs
from snn_deploy.deploy.alone import Payloads, in_own_steps, program_alone, run_whole
from snn_deploy.deploy.as_stored import layer_of, payload_unit
from snn_deploy.deploy.causes import Cause
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.divergence import CauseCount, CauseDrift, Divergence, LayerDivergence, Tally
from snn_deploy.deploy.explain import EXAMINED, Bench, Explanation, Place, Run, drifts, first_step
from snn_deploy.deploy.tested import tested_real, tested_whole, threshold_at
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.network import Network
from snn_deploy.ir.trace import PopulationTrace, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Both runs on some samples."""

    block: runs.Block
    windows: tuple[tuple[int, int], ...]
    """Row and first step of each sample."""

    stride: int
    """Steps from one sample of a continuous run to the next."""

    fresh: bool
    """Whether every sample has its own row."""

    wanted: Trace
    got: Trace
    real: Payloads
    """Inputs in real values."""

    whole: Payloads
    """Inputs in integers."""

    @property
    def presented(self) -> int:
        """Steps of a row, in those of the network."""
        return int(next(iter(self.real.values())).shape[1])

    def place(self, row: int, step: int) -> tuple[int, int]:
        """Return the sample, as numbered in the data, and its step."""
        if self.fresh:
            return int(self.block.number[row]), step
        return int(self.block.number[step // self.stride]), step % self.stride


class ComparedLayer:
    """One layer while it is compared.

    Args:
        deployment: What is compared.
        ready: Its real-valued network in the form that was rounded.
        name: A population of network and program.
        backend: Runs the integers.
    """

    def __init__(self, deployment: Deployment, ready: Network, name: str, backend: Backend) -> None:
        program, network = deployment.program, deployment.network
        self._program, self._name, self._backend = program, name, backend
        self._network = network
        self._wanted, self._made = network.population(name), program.population(name)
        self._sources = program_alone(program, name)[1]
        layer = layer_of(program, ready, name, deployment.target)
        self._bench = (
            None
            if layer is None
            else Bench(layer=layer, program=program, prepared=ready, backend=backend)
        )
        self._spiking = self._made.fires.spiking
        self._whole, self._alone = Tally(spiking=self._spiking), Tally(spiking=self._spiking)
        self._rows = self._places = 0
        self._counts: Counter[Cause] = Counter()
        self._drifts: tuple[CauseDrift, ...] = ()

    def result(self) -> LayerDivergence:
        """Return all that was found."""
        return LayerDivergence(
            layer=self._name,
            neurons=self._made.size,
            whole=self._whole.agreement(),
            alone=self._alone.agreement(),
            examined=self._places,
            causes=tuple(
                CauseCount(cause=cause, repaired=count)
                for cause, count in self._counts.most_common()
            ),
            drifts=self._drifts,
        )

    def add(self, side: Side) -> None:
        """Compare one block of samples."""
        whole = in_own_steps(self._program, side.got, self._name, side.presented)
        run = self._run(side, whole)
        self._count(self._whole, side, whole, run)
        self._count(self._alone, side, run.got, run)
        if self._spiking:
            self._explain(side, whole, run)
        elif not self._drifts and self._bench is not None:
            self._drifts = self._measured(side, run, self._bench)

    def _measured(self, side: Side, run: Run, bench: Bench) -> tuple[CauseDrift, ...]:
        """Return what is left of a readout's error with each cause put back, on some samples."""
        membrane = side.wanted[self._name].membrane
        assert membrane is not None
        chosen = range(min(EXAMINED, len(membrane)))
        units = self._made.units
        wanted = (membrane[: len(chosen)] - float(self._made.origin)) / units
        left = drifts(bench.layer, run.rows(chosen), wanted)
        unit = float(np.mean(units))
        found = [
            CauseDrift(cause=cause, rms=left[None] * unit, rms_without=rms * unit)
            for cause, rms in left.items()
            if cause is not None
        ]
        return tuple(sorted(found, key=lambda drift: drift.rms_without))

    def _run(self, side: Side, whole: PopulationTrace) -> Run:
        """Return the layer fed with what its sources send as trained."""
        wanted = {p.name: _payload(p) for p in side.wanted.populations}
        real = {**side.real, **wanted}
        integers = {n: self._whole_payload(n, v) for n, v in wanted.items() if n in self._sources}
        fed = {**side.whole, **integers}
        only_inputs = not any(name in wanted for name in self._sources)
        got = whole if only_inputs else run_whole(self._program, self._name, fed, self._backend)
        return Run(real=real, whole=fed, wanted=wanted[self._name], got=got)

    def _whole_payload(self, source: str, wanted: np.ndarray) -> np.ndarray:
        """Return what a source of the network sends as the program has it."""
        low, high = self._program.payload_range(source)
        payload = np.floor(wanted.astype(np.float64) / payload_unit(self._program, source) + 0.5)
        return np.asarray(payload.clip(low, high).astype(np.int64))

    def _count(self, tally: Tally, side: Side, got: PopulationTrace, run: Run) -> None:
        membrane = side.wanted[self._name].membrane
        assert membrane is not None
        mine, theirs = self._real_membrane(got), membrane.astype(np.float64)
        for row, start in side.windows:
            own = slice(start, start + side.block.steps)
            tally.membranes(theirs[row, own], mine[row, own])
            if self._spiking:
                tally.spikes(run.wanted[row, own], _payload(got)[row, own])

    def _real_membrane(self, got: PopulationTrace) -> np.ndarray:
        assert got.membrane is not None
        return got.membrane * self._made.units + float(self._made.origin)

    def _explain(self, side: Side, whole: PopulationTrace, run: Run) -> None:
        """Look for the causes of what diverges first, and remember where that is."""
        both = ((self._whole, whole), (self._alone, run.got))
        found = [(t, got, at) for t, got in both for at in _earlier(t, side, got, run)]
        rows = self._to_examine(run)
        rows |= {at[0][0] for _, got, at in found if _is_local(got, run, at)}
        explanation = None
        if self._bench is not None and rows:
            explanation = Explanation(self._bench, run, sorted(rows))
            self._rows += len(rows)
            self._places += explanation.places
            self._counts.update(explanation.counts())
        for tally, got, at in found:
            causes: tuple[Cause, ...] = ()
            if not _is_local(got, run, at):
                causes = (Cause.UPSTREAM,)
            elif explanation is not None:
                causes = explanation.at(at[0])
            tally.first = self._divergence(side, got, run, at, causes)

    def _to_examine(self, run: Run) -> set[int]:
        """Return the rows that diverge first, as many as may still be examined."""
        first = first_step(run.wanted, _payload(run.got))
        rows = first.reshape(first.shape[0], -1).min(axis=1)
        order = np.argsort(rows, kind="stable")[: max(0, EXAMINED - self._rows)]
        return {int(row) for row in order if rows[row] < run.wanted.shape[1]}

    def _divergence(
        self,
        side: Side,
        got: PopulationTrace,
        run: Run,
        at: tuple[Place, int],
        causes: tuple[Cause, ...],
    ) -> Divergence:
        (row, *neuron), step = at
        where, one = (row, step, *neuron), tuple(neuron)
        membrane = side.wanted[self._name].membrane
        assert membrane is not None
        sample, own_step = side.place(row, step)
        wanted, made = self._wanted, self._made
        fed = {**side.whole, **self._sent(side)} if got is not run.got else run.whole
        whole = tested_whole(self._program, self._name, _until(fed, row, step))
        unit = per_neuron(made.units, made.shape)[one]
        threshold = float(threshold_at(wanted, step)[one])
        tested = float(tested_real(self._network, self._name, _until(run.real, row, step))[one])
        return Divergence(
            sample=sample,
            step=own_step,
            neuron=one,
            expected=float(run.wanted[where]),
            got=float(_payload(got)[where]),
            membrane_expected=float(membrane[where]),
            membrane_got=float(self._real_membrane(got)[where]),
            threshold=threshold,
            tested_expected=tested,
            tested_got=float(whole[one] * unit) + float(made.origin),
            distance=tested - threshold,
            causes=causes,
        )

    def _sent(self, side: Side) -> Payloads:
        """Return what the sources of the layer send in the whole program."""
        records = {
            name: in_own_steps(self._program, side.got, name, side.presented)
            for name in self._sources
            if name not in side.whole
        }
        return {name: _payload(record) for name, record in records.items()}


def _until(sent: Payloads, row: int, step: int) -> Payloads:
    """Return what is sent in one row up to a step."""
    return {name: values[row : row + 1, : step + 1] for name, values in sent.items()}


def _payload(trace: PopulationTrace) -> Num[np.ndarray, "sample step ..."]:
    assert trace.payload is not None
    return trace.payload


def _is_local(got: PopulationTrace, run: Run, at: tuple[Place, int]) -> bool:
    """Return whether the layer alone sends the same as `got` up to there: no input is to blame."""
    (row, *neuron), step = at
    train: tuple[Any, ...] = (row, slice(step + 1), *neuron)
    return np.array_equal(_payload(got)[train], _payload(run.got)[train])


def _earlier(
    tally: Tally, side: Side, got: PopulationTrace, run: Run
) -> Iterator[tuple[Place, int]]:
    """Yield where `got` diverges first, if that is before all that was found so far."""
    first = first_step(run.wanted, _payload(got))
    step = int(first.min(initial=run.wanted.shape[1]))
    if step == run.wanted.shape[1]:
        return
    place = tuple(int(i) for i in np.argwhere(first == step)[0])
    sample, own_step = side.place(place[0], step)
    if tally.precedes(own_step, sample):
        yield place, step
