"""The result of `verify` against real values: layers, causes, and where each goes wrong first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.deploy.causes import Cause
from snn_deploy.deploy.divergence import Divergence, LayerDivergence, Membranes, Trains
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What differences are accepted; None: any."""

    mismatch: float | None = None
    """Largest raster mismatch of a layer in the whole program, as a share: 0.05 is 5 %."""

    drop: float | None = None
    """Largest loss of accuracy [points]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealVerification(ShownTable):
    """The result of `verify` against the network as trained."""

    artifact: str
    against: str
    """`network` or `model`."""

    samples: int
    steps: int
    layers: tuple[LayerDivergence, ...]
    missing: tuple[str, ...]
    """Populations of the network that the program does not have: they are not compared."""

    same: int
    """Samples for which both give the same class."""

    correct: int | None
    """Right answers of the integers, where the data has labels."""

    correct_expected: int | None
    limits: Limits

    derived: ClassVar[tuple[str, ...]] = ("drop", "exceeded", "passed")

    @property
    def drop(self) -> float | None:
        """Loss of accuracy [points], where the data has labels."""
        if self.correct is None or self.correct_expected is None:
            return None
        return 100 * (self.correct_expected - self.correct) / self.samples

    @property
    def exceeded(self) -> tuple[str, ...]:
        """Which limits are exceeded, in words."""
        found = []
        most = math.inf if self.limits.mismatch is None else self.limits.mismatch
        for layer in self.layers:
            trains = layer.whole.trains
            if trains is None or (trains.mismatch is not None and trains.mismatch <= most):
                continue
            if most < math.inf:
                found.append(
                    f"the mismatch of {layer.layer} is {_share(trains.mismatch)}, "
                    f"the limit {_share(most)}"
                )
        if self.limits.drop is not None and self.drop is not None and self.drop > self.limits.drop:
            found.append(
                f"{self.drop:.2f} points of accuracy are lost, the limit is {self.limits.drop:g}"
            )
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether no limit is exceeded."""
        return not self.exceeded

    def __str__(self) -> str:
        title = {"network": "the network as trained", "model": "the model, run by its framework"}
        lines = [
            f"integers against {title[self.against]}: {counted(self.samples, 'sample')} of "
            f"{counted(self.steps, 'step')}",
            "",
            *_layers(self.layers),
            *_causes(self.layers),
            *_firsts("first divergence of each layer", [(x, x.whole.first) for x in self.layers]),
            *_firsts(
                "first divergence of each layer, fed with the spikes of the layers as trained",
                [(x, x.alone.first) for x in self.layers if x.alone.first != x.whole.first],
            ),
            *_readouts(self.layers),
            f"same class  {self.same} of {self.samples}",
        ]
        if self.correct is not None:
            lines.append(f"correct     {self.correct} of {self.samples}")
            lines.append(f"as trained  {self.correct_expected} of {self.samples}")
        if self.missing:
            lines.append(f"not compared: {', '.join(self.missing)}")
        lines += [f"exceeded: {text}" for text in self.exceeded]
        return "\n".join(lines)


def _layers(layers: Sequence[LayerDivergence]) -> list[str]:
    """Return the table of spike trains, in the whole program and layer by layer."""
    rows: list[tuple[str, ...]] = [
        (
            *("layer", "neurons", "spikes", "ratio", "mismatch", "same trains"),
            *("alone: ratio", "mismatch", "same trains"),
        )
    ]
    for layer in layers:
        if layer.whole.trains is not None and layer.alone.trains is not None:
            spikes = f"{layer.whole.trains.expected:,.0f}"
            both = (*_trains(layer.whole.trains), *_trains(layer.alone.trains))
            rows.append((layer.layer, f"{layer.neurons}", spikes, *both))
    if len(rows) == 1:
        return []
    note = (
        "  spikes as trained; ratio of those in integers to them; mismatch: neurons and steps that"
        "\n  differ / 2 x those that fire as trained; same trains: samples without a difference;"
        "\n  alone: fed with the spikes of the layers as trained"
    )
    return [*_indented(aligned(rows, right=(1, 2, 3, 4, 5, 6, 7, 8))), note, ""]


def _trains(trains: Trains) -> tuple[str, str, str]:
    ratio = "-" if trains.ratio is None else f"{trains.ratio:.4f}"
    return ratio, _share(trains.mismatch), _share(trains.identical)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _causes(layers: Sequence[LayerDivergence]) -> list[str]:
    """Return what share of the first divergences of neurons each cause explains."""
    rows: list[tuple[str, ...]] = [
        ("layer", "looked at", "gone when put back as trained, one at a time")
    ]
    for layer in layers:
        if layer.examined:
            shares = (f"{c.cause.value} {c.repaired / layer.examined:.0%}" for c in layer.causes)
            text = ", ".join(shares) or "not separated: the layer was rebuilt"
            rows.append((layer.layer, f"{layer.examined}", text))
    if len(rows) == 1:
        return []
    note = f"  ({Cause.SEVERAL.value}: no single one; a divergence may have more than one cause)"
    return ["likely causes", *_indented(aligned(rows, right=(1,))), note, ""]


def _firsts(title: str, found: Sequence[tuple[LayerDivergence, Divergence | None]]) -> list[str]:
    """Return a table of first divergences."""
    rows: list[tuple[str, ...]] = [
        (
            *("layer", "neuron", "sample", "step", "sends", "as trained"),
            *("membrane", "as trained", "threshold", "distance", "likely cause"),
        )
    ]
    for layer, first in found:
        if first is not None:
            rows.append((layer.layer, *_first(first)))
    if len(rows) == 1:
        return []
    return [title, *_indented(aligned(rows, right=tuple(range(2, 10)))), ""]


def _first(first: Divergence) -> tuple[str, ...]:
    return (
        str(list(first.neuron)),
        f"{first.sample}",
        f"{first.step}",
        f"{first.got:g}",
        f"{first.expected:g}",
        f"{first.tested_got:.5g}",
        f"{first.tested_expected:.5g}",
        f"{first.threshold:.5g}",
        f"{first.distance:+.2g}",
        first.cause,
    )


def _readouts(layers: Sequence[LayerDivergence]) -> list[str]:
    """Return the table of membranes that are read, with what makes most of their error."""
    rows: list[tuple[str, ...]] = [
        ("readout", "neurons", "error", "relative", "alone", "cause of most of it alone")
    ]
    for layer in layers:
        if layer.whole.trains is not None:
            continue
        whole, alone = layer.whole.membranes, layer.alone.membranes
        rows.append(
            (
                layer.layer,
                f"{layer.neurons}",
                *_error(whole),
                f"{alone.rms:.3g}",
                _drift(layer),
            )
        )
    if len(rows) == 1:
        return []
    return [
        "membranes that are read: root mean square error, in the unit of the network",
        *_indented(aligned(rows, right=(1, 2, 3, 4))),
        "",
    ]


def _error(membranes: Membranes) -> tuple[str, str]:
    return f"{membranes.rms:.3g}", _share(membranes.relative)


NOTABLE = 0.9
"""Share of an error that a cause may at most leave to be said to make it."""


def _drift(layer: LayerDivergence) -> str:
    """Return what makes most of the error of a readout, and what is left without it."""
    if not layer.drifts or not layer.drifts[0].rms:
        return ""
    least = layer.drifts[0]
    if least.rms_without > NOTABLE * least.rms:
        return Cause.SEVERAL.value
    return f"{least.cause.value} ({least.rms:.3g}, without it {least.rms_without:.3g})"


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
