"""How a layer of integers compares with the layer as it was trained, in spikes and membranes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from snn_deploy.deploy.causes import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One neuron that sends something else in a step than it does as trained."""

    sample: int
    """As numbered in the data."""

    step: int
    """Step of the network within the sample: the lag of the program is taken off."""

    neuron: tuple[int, ...]
    expected: float
    """Payload as trained."""

    got: float
    """Payload of the integers, in the same unit."""

    membrane_expected: float
    """At the end of the step, in the unit of the network."""

    membrane_got: float
    threshold: float
    """As trained, in that step."""

    tested_expected: float
    """Membrane as compared with the threshold, before any reset."""

    tested_got: float
    distance: float
    """How far the membrane as trained lies above its threshold."""

    causes: tuple[Cause, ...]
    """Each repairs it alone; `SEVERAL` and after it those that repair it together; empty where
    the layer was rebuilt so that its parts cannot be put back one by one."""

    @property
    def cause(self) -> str:
        """The causes in words."""
        if not self.causes:
            return "not separated"
        if self.causes[0] is Cause.SEVERAL:
            parts = " + ".join(cause.value for cause in self.causes[1:])
            return f"{Cause.SEVERAL.value}: {parts}"
        return " or ".join(cause.value for cause in self.causes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseCount:
    """How many divergences one cause explains."""

    cause: Cause
    repaired: int
    """First divergences of a neuron in a sample that go away when this alone is put back; of
    `SEVERAL` those that no single cause repairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseDrift:
    """How much of the error of a readout's membranes one cause makes."""

    cause: Cause
    rms: float
    """Root mean square error of the layer alone on the samples looked at, in the unit of the
    network."""

    rms_without: float
    """The same when this alone is put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trains:
    """Spike trains of one layer against those that it should send."""

    samples: int
    expected: float
    """Spikes as trained, over all samples."""

    got: float
    ratio: float | None
    """Spikes of the integers over those as trained; None where none were."""

    differing: int
    """Neurons and steps that differ."""

    mismatch: float | None
    """Raster mismatch: differing neurons and steps over twice those in which the layer as trained
    sends something. None where it sends nothing and the integers do."""

    agreement: float
    """Share of neurons and steps that agree, silent ones among them."""

    identical: float
    """Share of samples in which nothing differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membranes:
    """Membranes of one layer against those that it should have, in the unit of the network."""

    rms: float
    """Root mean square error."""

    relative: float | None
    """Root mean square error over the root mean square; None where all should be 0."""

    largest: float
    """Largest error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How one layer compares in one manner of running it."""

    trains: Trains | None
    """None for a readout, which sends no spikes."""

    membranes: Membranes
    first: Divergence | None
    """The earliest step; of equal ones the lowest sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDivergence:
    """How one layer of integers compares with the layer as trained."""

    layer: str
    neurons: int
    whole: Agreement
    """In the whole program."""

    alone: Agreement
    """Fed with what its sources send as trained, its own spikes among them."""

    examined: int
    """First divergences of a neuron in a sample, alone, whose causes were looked for."""

    causes: tuple[CauseCount, ...]
    """Of those, how many go away with each cause, the most first."""

    drifts: tuple[CauseDrift, ...]
    """Of a readout, on the samples looked at: what is left of its error, the least first."""


class Tally:
    """Collects, sample by sample, what an `Agreement` tells.

    Args:
        spiking: Whether the layer sends spikes.
    """

    def __init__(self, *, spiking: bool) -> None:
        self._spiking = spiking
        self._samples = self._entries = self._active = self._differing = self._identical = 0
        self._expected = self._got = 0.0
        self._count = 0
        self._squared_error = self._squared = self._largest = 0.0
        self.first: Divergence | None = None
        """The earliest so far."""

    def spikes(self, wanted: Num[np.ndarray, "step ..."], got: Num[np.ndarray, "step ..."]) -> None:
        """Count one sample's spike trains."""
        wrong = int(np.count_nonzero(wanted != got))
        self._samples += 1
        self._entries += wanted.size
        self._active += int(np.count_nonzero(wanted))
        self._expected += float(wanted.sum())
        self._got += float(got.sum())
        self._differing += wrong
        self._identical += wrong == 0

    def membranes(self, wanted: Float[np.ndarray, "..."], got: Float[np.ndarray, "..."]) -> None:
        """Count membranes, in the unit of the network."""
        error = got - wanted
        self._count += error.size
        self._squared_error += float(np.sum(np.square(error)))
        self._squared += float(np.sum(np.square(wanted)))
        self._largest = max(self._largest, float(np.abs(error).max(initial=0.0)))

    def precedes(self, step: int, sample: int) -> bool:
        """Return whether a divergence there comes before the earliest so far."""
        return self.first is None or (step, sample) < (self.first.step, self.first.sample)

    def agreement(self) -> Agreement:
        """Return all that was counted."""
        return Agreement(
            trains=self._trains() if self._spiking else None,
            membranes=Membranes(
                rms=float(np.sqrt(self._squared_error / max(1, self._count))),
                relative=float(np.sqrt(self._squared_error / self._squared))
                if self._squared
                else None,
                largest=self._largest,
            ),
            first=self.first,
        )

    def _trains(self) -> Trains:
        mismatch: float | None = None if self._differing else 0.0
        if self._active:
            mismatch = self._differing / (2 * self._active)
        return Trains(
            samples=self._samples,
            expected=self._expected,
            got=self._got,
            ratio=self._got / self._expected if self._expected else None,
            differing=self._differing,
            mismatch=mismatch,
            agreement=1 - self._differing / max(1, self._entries),
            identical=self._identical / max(1, self._samples),
        )
