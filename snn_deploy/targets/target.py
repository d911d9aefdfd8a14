"""A chip as data: ranges, widths, rules and features, every number with its source."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar

from snn_deploy.ir.arithmetic import Arithmetic, Decay, Order, Overflow, Register, Sums
from snn_deploy.targets.cores import Board, CoreRules
from snn_deploy.targets.sourced import Sourced, SourcedList, SourcedRange


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRange:
    """Weights of one sign mode: multiples of `step` from `low` to `high`."""

    low: int
    high: int
    step: int
    source: str
    unit: ClassVar[str] = "stored weight"

    def __str__(self) -> str:
        return f"{self.low}..{self.high} step {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How synaptic weights are stored."""

    bits: Sourced
    mixed: WeightRange
    excitatory: WeightRange
    inhibitory: WeightRange
    shift: Sourced
    """A weight sum enters the state shifted left by this many bits."""

    exponent: SourcedRange
    """Further shift to the left that one projection may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRule:
    """Width and overflow rule of a state register."""

    bits: int
    overflow: Overflow
    source: str
    unit: ClassVar[str] = "bit with sign"

    def __str__(self) -> str:
        return f"{self.bits} {self.overflow.value}"

    @property
    def register(self) -> Register:
        """The register itself."""
        return Register(bits=self.bits, overflow=self.overflow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a chip decays and adds up, and how that is known."""

    decay: Decay = Decay.MULTIPLY
    order: Order = Order.DECAY_FIRST
    sums: Sums = Sums.TOGETHER
    source: str
    unit: ClassVar[str] = ""

    def __str__(self) -> str:
        return f"{self.decay.value}, {self.order.value}, {self.sums.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The registers of a neuron and their decays."""

    current: RegisterRule
    membrane: RegisterRule
    accumulator: Sourced
    """Width with sign of the sum of weights that one neuron may receive in one step."""

    arrivals: RegisterRule | None = None
    """Register of that sum, shifts included, which does what it says when the sum is too large.
    None: no such register; a bound that `accumulator` puts on the sum is all."""

    change: RegisterRule | None = None
    """Register of the membrane's change in a step; None: there is none."""

    rules: Rules | None = None
    """None: decays multiply and come first, and all that arrives is added up together."""

    decay_bits: Sourced
    current_multiplier: SourcedRange
    """Decay parameters that a current can have: multipliers, of which 2**decay_bits keeps
    everything, or shifts."""

    membrane_multiplier: SourcedRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The threshold is mantissa * 2**shift state units."""

    mantissa: SourcedRange
    shift: Sourced


@dataclass(frozen=True, slots=True, kw_only=True)
class Biases:
    """The native bias: mantissa * 2**exponent state units on the membrane, from step 0 on."""

    mantissa: SourcedRange
    exponent: SourcedRange


class Support(Enum):
    """How a target runs a feature."""

    NATIVE = "native"
    """On the chip."""

    SIMULATED = "simulated"
    """In simulators only; a finding says so."""


class Feature(Enum):
    """What a neuron may need beyond a leaky integrator with a hard reset to 0."""

    GREATER_EQUAL = "greater-equal"
    COUNT_SPIKES = "count-spikes"
    RESET_VALUE = "reset-value"
    RESET_SUBTRACT = "reset-subtract"
    RESET_NONE = "reset-none"
    RESET_LATE = "reset-late"
    FLOOR = "floor"
    OLD_CURRENT = "old-current"
    START_GATE = "start-gate"
    """States that stay initial until the population's lag although they would move."""

    BIAS_GATE = "bias-gate"
    """A bias that starts at any step and enters any state."""

    READOUT = "readout"
    """A neuron that never fires and whose membrane is read."""

    FURTHER_CURRENTS = "further-currents"
    """More than one synaptic current, one that another feeds, or one that is subtracted."""

    DIRECT_DRIVE = "direct-drive"
    """Input to the membrane beside a synaptic current."""

    TABLES = "tables"
    """Parameters that change from step to step."""

    REFRACTORY = "refractory"
    """Steps without spikes behind a spike, or all steps behind the first."""

    WINDOW = "window"
    """Steps outside of which a neuron does not fire."""

    RESTART = "restart"
    """States that return to their initial values in regular steps."""

    TERNARY = "ternary"
    """Spikes of both signs."""

    ROUNDED = "rounded"
    """As many spikes as the membrane is thresholds, rounded."""

    GRADED = "graded"
    """A neuron that sends its membrane."""

    RESET_RETESTED = "reset-retested"
    """A reset whose membrane the next test sees lowered once more."""

    WAITING_BIAS = "waiting-bias"
    """A bias that starts with the first input."""

    SIGNED_DECAY = "signed-decay"
    """A state that changes its sign in every step."""

    ADAPTIVE = "adaptive"
    """A threshold that grows with each spike and returns: Lava's ATRLIF."""

    RESONATOR = "resonator"
    """A damped oscillator that fires."""

    SIGMA_DELTA = "sigma-delta"
    """Neurons that send and add up changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRule:
    """How a target runs one feature, and how that is known."""

    feature: Feature
    support: Support
    source: str
    unit: ClassVar[str] = ""

    def __str__(self) -> str:
        return self.support.value


class Basic(Enum):
    """What every chip is taken to have, unless it says that it lacks it."""

    GREATER = "greater"
    """A spike only where the membrane exceeds the threshold (>)."""

    RESET_TO_ZERO = "reset-to-zero"
    RESET_AMOUNT = "reset-amount"
    """A subtracting reset by another amount than the threshold."""

    DIRECT_INPUT = "direct-input"
    """A membrane that integrates what arrives itself, without a synaptic current."""

    INITIAL_STATE = "initial-state"
    """States that do not start at 0."""

    FEWER_SPIKES = "fewer-spikes"
    """A neuron that sends fewer spikes in a step than the chip's neurons can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something basic that a target has not, and how that is known."""

    basic: Basic
    source: str
    unit: ClassVar[str] = ""

    def __str__(self) -> str:
        return "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """A chip with neurons for hidden layers, and others for the output, as Xylo has them.

    Inputs drive hidden neurons; these drive each other and the output neurons, which drive
    nothing. All projections of one of these three kinds share one weight exponent.
    """

    inputs: Sourced
    """Most input channels."""

    hidden: Sourced
    """Most hidden neurons."""

    outputs: Sourced
    """Most output neurons."""

    hidden_fan_out: Sourced
    """Most hidden neurons that one hidden neuron drives."""

    hidden_synapses: Sourced
    """Most synapses between hidden neurons."""

    hidden_spikes: Sourced
    """Most spikes that a hidden neuron sends in a step."""

    output_spikes: Sourced
    """Most spikes that an output neuron sends in a step."""


class Resource(Enum):
    """Something of which a chip has a limited number."""

    CORES = "cores"
    NEURONS = "neurons"
    INPUT_AXONS = "input-axons"
    OUTPUT_AXONS = "output-axons"
    SYNAPSE_MEMORY = "synapse-memory"
    CORE_MEMORY = "core-memory"
    """Memory that synapses and states of neurons share."""

    NEURON_CONFIGURATIONS = "neuron-configurations"
    """Different sets of decays and refractory periods."""

    THRESHOLDS = "thresholds"
    """Different thresholds."""

    SYNAPSE_FORMATS = "synapse-formats"
    """Different sets of weight bits, exponents and sign modes."""


class Per(Enum):
    """What has the resource."""

    CHIP = "chip"
    CORE = "core"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A resource of which a network cannot use more."""

    resource: Resource
    per: Per
    value: int
    unit: str
    source: str

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One number or rule of a target, as a table shows it."""

    path: str
    """Where it stands in the TOML file, such as `weights.bits`."""

    value: str
    unit: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A chip that we compile for."""

    name: str
    """Name on the command line, such as `loihi2`."""

    title: str
    aliases: tuple[str, ...] = ()
    weights: Weights
    states: States
    thresholds: Thresholds
    biases: Biases
    delay: SourcedRange
    """Steps that one projection may take."""

    input_delay: SourcedRange | None = None
    """Steps that a projection from an input may take; None: as any other."""

    payload: SourcedRange
    """Values that an input may send."""

    parameter_groups: Sourced
    """Different sets of neuron parameters (decays, threshold, reset) that one population may have
    natively; each becomes a neuron group of its own."""

    features: tuple[FeatureRule, ...]
    lacks: tuple[Lack, ...] = ()
    layers: Layers | None = None
    """None: any population may drive any other."""

    limits: tuple[Limit, ...] = ()
    cores: CoreRules | None = None
    """None: it has no cores that populations could be mapped to."""

    writer: str = ""
    """Backend whose files an artifact for this chip carries, and which knows what runs natively;
    empty: none, everything is native."""

    energy_profile: str = ""
    """Name of the table of prices per event that `estimate` takes by default."""

    energy_note: str = ""
    """What must be said above an estimate for this target, after whose prices they are."""

    @property
    def arithmetic(self) -> Arithmetic:
        """The rules that a program for this target carries."""
        states = self.states
        rules = states.rules or Rules(source="")
        return Arithmetic(
            current=states.current.register,
            membrane=states.membrane.register,
            decay_bits=states.decay_bits.value,
            decay=rules.decay,
            order=rules.order,
            sums=rules.sums,
            accumulator=None if states.arrivals is None else states.arrivals.register,
            change=None if states.change is None else states.change.register,
        )

    @property
    def decay_one(self) -> int:
        """The multiplier that keeps everything."""
        return 1 << self.states.decay_bits.value

    @property
    def highest_threshold(self) -> int:
        """Largest threshold in state units."""
        return self.thresholds.mantissa.high << self.thresholds.shift.value

    @property
    def highest_state(self) -> int:
        """Largest membrane in state units."""
        return (1 << (self.states.membrane.bits - 1)) - 1

    @property
    def highest_sum(self) -> int:
        """Largest weight sum, before any shift, that one neuron may receive in one step."""
        return (1 << (self.states.accumulator.value - 1)) - 1

    def limit(self, resource: Resource, per: Per = Per.CORE) -> Limit | None:
        """Return how much of a resource there is; None: it is not known."""
        found = (rule for rule in self.limits if (rule.resource, rule.per) == (resource, per))
        return next(found, None)

    def support(self, feature: Feature) -> Support | None:
        """Return how this target runs `feature`; None: not at all."""
        return next((rule.support for rule in self.features if rule.feature is feature), None)

    def has(self, basic: Basic) -> bool:
        """Return whether this target has what every chip is taken to have."""
        return all(lack.basic is not basic for lack in self.lacks)

    def entries(self) -> tuple[Entry, ...]:
        """Return every number and rule with unit and source, in the order of the file."""
        return tuple(_entries(self, ""))


AnySourced = (
    *(Sourced, SourcedRange, SourcedList, WeightRange, RegisterRule, Rules),
    *(FeatureRule, Lack, Limit, Board),
)
"""What carries a source, and so is an entry of a table."""


def _entries(record: Any, path: str) -> Iterator[Entry]:
    """Yield what has a source in `record` and in the records inside it."""
    if isinstance(record, AnySourced):
        yield Entry(path=path, value=str(record), unit=record.unit, source=record.source)
        return
    for entry in fields(record):
        value = getattr(record, entry.name)
        inner = f"{path}.{entry.name}" if path else entry.name
        if is_dataclass(value):
            yield from _entries(value, inner)
        elif isinstance(value, tuple):
            for item in value:
                if is_dataclass(item):
                    yield from _entries(item, f"{inner}.{_label(item)}")


def _label(item: Any) -> str:
    """Return what tells an entry of an array from the others."""
    if isinstance(item, Limit):
        return f"{item.resource.value}-per-{item.per.value}"
    if isinstance(item, Lack):
        return item.basic.value
    if isinstance(item, Board):
        return item.name
    assert isinstance(item, FeatureRule)
    return item.feature.value
