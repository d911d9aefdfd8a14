"""How a program runs in Lava: one process or several for each population and projection."""

from dataclasses import dataclass
from enum import Enum

import msgspec

from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.targets import Support

SCHEMA = "snn-deploy/lava-plan/1"


class Neuron(Enum):
    """A process that computes neurons."""

    LIF = "LIF"
    LIF_RESET = "LIFReset"
    TERNARY_LIF = "TernaryLIF"
    ATRLIF = "ATRLIF"
    RF = "RF"
    RF_IZ = "RF_IZ"
    SIGMA = "Sigma"
    DELTA = "Delta"
    SIGMA_DELTA = "SigmaDelta"
    OWN = "FixedPointNeuron"


class Connection(Enum):
    """A process that computes a projection."""

    DENSE = "Dense"
    DELAY_DENSE = "DelayDense"
    SPARSE = "Sparse"
    DELAY_SPARSE = "DelaySparse"
    CONV = "Conv"
    OWN = "FixedPointConnection"


class Guard(Enum):
    """What a run must watch, because it cannot be known before."""

    NONE = ""
    SILENT = "silent"
    """A readout must not reach the highest threshold."""

    LATTICE = "lattice"
    """v must not saturate below: there it is no multiple of 64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Neurons with equal parameters: one stock process."""

    neurons: tuple[tuple[int, int], ...]
    """Ranges [first, behind last) of flat indices."""

    bias_exponent: int = 0
    du: int = 0
    """Of any LIF, as are the next two."""

    dv: int = 0
    vth: int = 0
    vth_lo: int = 0
    """Of a TernaryLIF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationPlan:
    """How one population runs."""

    name: str
    process: Neuron
    support: Support
    reason: str
    """Why it is not native; empty where it is."""

    input_shift: int
    """The process itself shifts what arrives left by this."""

    groups: tuple[Group, ...] = ()
    """One stock process each; none for our own process, which takes all neurons."""

    guard: Guard = Guard.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionPlan:
    """How one projection runs."""

    name: str
    process: Connection
    support: Support
    reason: str
    """Why it is not native, or why a convolution is unrolled; may be empty."""

    weight_exponent: int
    """Shift to the left of the sum; for Conv, which ignores exponents, of its kernel."""

    message_bits: int
    """0: the source sends 0 and 1 only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a program runs in Lava."""

    populations: tuple[PopulationPlan, ...]
    projections: tuple[ProjectionPlan, ...]

    def dump(self) -> bytes:
        """Return the plan as JSON. Equal plans give equal bytes."""
        document = {"schema": SCHEMA, **msgspec.to_builtins(self)}
        return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding for each population and projection that is not native."""
        found = []
        items: tuple[PopulationPlan | ProjectionPlan, ...] = (*self.populations, *self.projections)
        for item in items:
            if item.support is Support.SIMULATED:
                what = f"runs as {item.process.value} in Lava's simulator only"
                found.append(
                    Finding(kind=Kind.SIMULATED, layer=item.name, amount=what, reason=item.reason)
                )
        return tuple(found)
