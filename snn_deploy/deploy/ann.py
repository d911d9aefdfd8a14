"""The same layers as an ANN and as an SNN, priced as papers on spiking networks do.

It is the papers' convention and no measurement: it prices arithmetic alone, no memory traffic.
An ANN multiplies every value by every weight, once per sample; an SNN adds a weight for each spike
that reaches it, and multiplies where a layer reads values that are no spikes, such as graded input.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import fsum

from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.operations import Operations, Way, ways_of_network, ways_of_program
from snn_deploy.ir.neuron import Fires
from snn_deploy.ir.program import Program, Role

MAC_45NM = 4.6e-12
"""A 32-bit floating-point multiplication and addition at 45 nm [J]; 3.7 + 0.9 pJ, Horowitz 2014
(ISSCC), figure 1.1.9."""

AC_45NM = 0.9e-12
"""A 32-bit floating-point addition at 45 nm [J]; Horowitz 2014 (ISSCC), figure 1.1.9."""

WEAKNESS = "arithmetic only, no memory traffic: not a measurement"
"""What one must know of every number here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A processor that runs the ANN."""

    name: str
    title: str
    operation: float
    """Of a MAC, or of the update of a neuron [J]."""

    source: str


_KERAS_SPIKING = (
    "KerasSpiking, ModelEnergy.devices; from Degnan, Marr and Hasler 2016 (IEEE TVLSI 24, 58-66)"
)

DEVICES = (
    Device(name="CPU", title="Intel i7-4960X", operation=8.6e-9, source=_KERAS_SPIKING),
    Device(name="GPU", title="Nvidia GTX Titan Black", operation=0.3e-9, source=_KERAS_SPIKING),
    Device(name="ARM", title="ARM Cortex-A", operation=0.9e-9, source=_KERAS_SPIKING),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnergy:
    """What the ANN takes on one processor, by the table of KerasSpiking."""

    device: Device
    value: float
    """MACs and updates of neurons that can fire, each at the price of a MAC [J per sample]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOperations:
    """Operations of the layers into one population, per sample."""

    layer: str
    ann_macs: int
    snn_acs: float
    """Weights that spikes reach, those of 0 included, once for each spike."""

    snn_macs: float
    """The same in steps in which a layer reads values that are no spikes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnComparison:
    """The same layers as an ANN and as an SNN, per sample, by the papers' convention."""

    layers: tuple[LayerOperations, ...]
    times: int
    """How often the ANN computes its layers for a sample: once, or, where the network has a loop,
    in every step."""

    ann_macs: int
    ann_neurons: int
    """Neurons that can fire."""

    ann_energy: float
    """At 45 nm [J]."""

    devices: tuple[DeviceEnergy, ...]
    snn_acs: float
    snn_macs: float
    snn_energy: float
    """At 45 nm [J]."""

    note: str = f"the papers' convention: {WEAKNESS}"

    def __str__(self) -> str:
        often = "" if self.times == 1 else f" in {self.times} steps"
        elsewhere = ", ".join(f"{d.device.name} {joules(d.value)}" for d in self.devices)
        multiplied = f" and {self.snn_macs:,.0f} MACs" if self.snn_macs else ""
        return (
            f"as papers count, at 45 nm ({WEAKNESS}):\n"
            f"  ANN {self.ann_macs:,} MACs{often} {joules(self.ann_energy)} ({elsewhere}); "
            f"SNN {self.snn_acs:,.0f} ACs{multiplied} {joules(self.snn_energy)}"
        )


def joules(value: float) -> str:
    """Return an energy with a unit that suits it, in three digits."""
    for unit, size in (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6), ("nJ", 1e-9)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-12:.3g} pJ"


def compare_with_ann(
    deployment: Deployment, done: Mapping[str, Operations], *, samples: int, steps: int
) -> AnnComparison:
    """Return a deployment's layers as an ANN, beside what its integers did.

    The ANN's layers are those of the network as trained, or of the program where there is no other.

    Args:
        deployment: What was run.
        done: Operations into each population of its program, summed over the samples.
        samples: Number of samples.
        steps: Steps of a sample in the network.
    """
    program = deployment.program
    if deployment.nir is None:
        ways, neurons = ways_of_program(program), _firing(program)
    else:
        network = deployment.network
        ways = ways_of_network(network)
        neurons = sum(p.size for p in network.populations if p.fires is not Fires.NEVER)
    times = steps if has_loop((p.source, p.target) for p in program.projections) else 1
    layers = tuple(_layers(ways, done, samples, times))
    macs = sum(layer.ann_macs for layer in layers)
    acs, multiplied = (fsum(getattr(x, n) for x in layers) for n in ("snn_acs", "snn_macs"))
    return AnnComparison(
        layers=layers,
        times=times,
        ann_macs=macs,
        ann_neurons=neurons,
        ann_energy=macs * MAC_45NM,
        devices=tuple(
            DeviceEnergy(device=device, value=(macs + neurons * times) * device.operation)
            for device in DEVICES
        ),
        snn_acs=acs,
        snn_macs=multiplied,
        snn_energy=acs * AC_45NM + multiplied * MAC_45NM,
    )


def _firing(program: Program) -> int:
    return sum(
        p.size
        for p in program.populations
        if p.role is Role.NEURONS and (p.kind is not None or p.fires is not Fires.NEVER)
    )


def _layers(
    ways: Sequence[Way], done: Mapping[str, Operations], samples: int, times: int
) -> Iterable[LayerOperations]:
    dense: dict[str, int] = {}
    for way in ways:
        dense[way.target] = dense.get(way.target, 0) + sum(layer.dense for layer in way.layers)
    for name in dict.fromkeys([*dense, *done]):
        found = done.get(name, Operations())
        yield LayerOperations(
            layer=name,
            ann_macs=dense.get(name, 0) * times,
            snn_acs=found.acs / samples,
            snn_macs=found.macs / samples,
        )


def has_loop(edges: Iterable[tuple[str, str]]) -> bool:
    """Return whether projections, each (source, target), close a loop."""
    before: dict[str, set[str]] = {}
    for source, target in edges:
        before.setdefault(target, set()).add(source)
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        return True
    return False
