"""The closed choices of the canonical neuron; DESIGN section 3 gives the step they belong to."""

from enum import Enum


class State(Enum):
    """A quantity of a neuron that can be recorded, driven or decoded."""

    CURRENT = "current"
    """Synaptic current `i` after this step's update; on Loihi the register u."""

    MEMBRANE = "membrane"
    """Membrane potential `v` at the end of the step, after any reset."""

    PAYLOAD = "payload"
    """What the neuron sends: 0, or the number of spikes."""


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
    """Minus the step of the first spike; never: minus the number of steps."""
