"""The closed choices of the canonical neuron; DESIGN section 3 gives the step they belong to."""

from enum import Enum


class State(Enum):
    """A quantity of a neuron that can be recorded, driven or decoded."""

    CURRENT = "current"
    """Synaptic current `i` after this step's update; on Loihi the register u."""

    CURRENT_2 = "current-2"
    """The second synaptic current, where there are several."""

    CURRENT_3 = "current-3"
    CURRENT_4 = "current-4"

    MEMBRANE = "membrane"
    """Membrane potential `v` at the end of the step, after any reset."""

    PAYLOAD = "payload"
    """What the neuron sends: 0, or the number of spikes."""

    COUNTDOWN = "countdown"
    """Steps for which the neuron will not fire; 1 for ever in one that fires once."""

    STARTED = "started"
    """1 from the first step in which something arrived, where a bias waits for that."""

    THRESHOLD = "threshold"
    """The threshold of neurons that adapt it."""

    REFRACTION = "refraction"
    """What an adaptive neuron's membrane must exceed beside its threshold."""

    IMAGINARY = "imaginary"
    """The imaginary part of a resonator, whose real part is its membrane."""

    SIGMA = "sigma"
    """The sum that a neuron decodes from changes."""

    ACTIVATION = "activation"
    """What a neuron that sends changes saw last."""

    RESIDUE = "residue"
    """The change that it has not sent yet."""

    ERROR = "error"
    """The changes since it last sent one, where it adds them up."""


CURRENTS = (State.CURRENT, State.CURRENT_2, State.CURRENT_3, State.CURRENT_4)
"""The synaptic currents, first to last."""


class Compare(Enum):
    """How the membrane is compared with the threshold."""

    GREATER = ">"
    GREATER_EQUAL = ">="


class Fires(Enum):
    """What a neuron sends when its membrane passes the threshold."""

    NEVER = "never"
    """A linear readout: its membrane is the answer."""

    GRADED = "graded"
    """A linear filter: it sends its membrane, in every step and whatever it is."""

    BINARY = "binary"
    """One spike a step at most."""

    COUNT = "count"
    """As many spikes as the threshold goes into the membrane: floor(v / threshold) where
    compared by >=, ceil(v / threshold) - 1 where by >; none below zero."""

    ROUNDED = "rounded"
    """The whole number next to v / threshold, half to even; none below zero. How it compares does
    not matter."""

    TERNARY = "ternary"
    """1 above the threshold, -1 below the lower one: v > threshold, v < lower, or with equality."""

    @property
    def spiking(self) -> bool:
        """Whether it tests its membrane and sends spikes; a linear neuron does neither."""
        return self not in (Fires.NEVER, Fires.GRADED)


class ResetKind(Enum):
    """What a spike does to the membrane."""

    NONE = "none"
    VALUE = "value"
    """The membrane is set to a value."""

    SUBTRACT = "subtract"
    """An amount per spike is subtracted; it need not be the threshold."""


class When(Enum):
    """When a reset acts."""

    NOW = "now"
    """In the step of the spike."""

    NEXT = "next"
    """In the next step, after its leak and input: a reset to a value drops that input."""

    RETESTED = "retested"
    """In the step of the spike; but where the membrane ends above the threshold all the same, the
    next test sees it lowered once more, for that test alone (snnTorch's subtracting reset without
    delay)."""


class Reads(Enum):
    """Which synaptic current the membrane integrates."""

    NEW = "new"
    """The current after this step's update."""

    OLD = "old"
    """The current as the last step left it."""


class During(Enum):
    """What the membrane of a refractory neuron does."""

    HELD = "held"
    """It stays as it is: neither leaks, nor integrates, nor takes a bias."""

    INTEGRATES = "integrates"
    """It goes on as ever, only its spikes are missing."""

    CLAMPED = "clamped"
    """It is set to the value that the neuron was reset to."""


class Tabled(Enum):
    """What a table over time replaces."""

    THRESHOLD = "threshold"
    LOWER = "lower"
    """The lower threshold of a ternary neuron."""

    GAIN = "gain"
    """The factor on all that arrives at a state."""

    BIAS = "bias"
    """What is added to a state, beside the biases."""

    PAYLOAD = "payload"
    """What one spike sends: 1 elsewhere."""


class FloorWhen(Enum):
    """When the membrane is kept above its floor."""

    BEFORE_TEST = "before-test"
    AFTER_RESET = "after-reset"


class Decode(Enum):
    """How an output population's record becomes one number per neuron."""

    COUNT = "count"
    """Sum of payloads over the steps."""

    MEMBRANE_END = "membrane-end"
    """Membrane after the last step."""

    MEMBRANE_MEAN = "membrane-mean"
    """Mean membrane over the steps."""

    MEMBRANE_MAX = "membrane-max"
    """Largest membrane over the steps."""

    FIRST_SPIKE = "first-spike"
    """Minus the step of the first spike; never: minus the number of steps. Of neurons that fire
    first together, the one of the lowest index is the class."""

    WEIGHTED_COUNT = "weighted-count"
    """Sum of payloads, each times the weight of its step."""

    WEIGHTED_MEMBRANE = "membrane-weighted"
    """Sum of the membranes, each times the weight of its step: an exponentially weighted mean."""

    SPIKE_TIME = "spike-time"
    """The weight of the step of the first spike; never: 0."""

    @property
    def weighted(self) -> bool:
        """Whether it needs a weight for each step."""
        return self in (Decode.WEIGHTED_COUNT, Decode.WEIGHTED_MEMBRANE, Decode.SPIKE_TIME)

    @property
    def spiking(self) -> bool:
        """Whether it reads what the neurons send; the others read their membranes."""
        spiking = (Decode.COUNT, Decode.FIRST_SPIKE, Decode.WEIGHTED_COUNT, Decode.SPIKE_TIME)
        return self in spiking
