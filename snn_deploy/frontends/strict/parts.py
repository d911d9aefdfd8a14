"""Neurons as linear filters and a test, which is how plain NIR nodes can say them."""

import math
from dataclasses import dataclass

import nir
import numpy as np
from jaxtyping import Float

from snn_deploy.frontends.to_nir import next_smaller, time_constant
from snn_deploy.ir.arrays import REAL
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Population
from snn_deploy.ir.neuron import Compare, Fires, Reads, ResetKind, State, When

Values = Float[np.ndarray, "..."]

MOST_LEVELS = 16
"""Spikes of one step that as many Threshold nodes say; more make no graph that anyone wants."""

MOST_DIAGONAL = 2048
"""Neurons whose biases a diagonal matrix brings: it has their square of numbers."""

NEGLIGIBLE = 2.0**-40
"""Share of a sum's terms below which the sum is the rounding of two numbers that cancel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """x = decay * x + gain * input + bias; each of the full shape."""

    decay: Values
    gain: Values
    bias: Values
    initial: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """When the membrane fires, and what a spike does to it; each of the full shape."""

    threshold: Values
    """Spikes are sent above it."""

    meant_at: Values | None
    """The threshold that fires at equality too, where `threshold` is the next smaller number."""

    levels: int
    """Most spikes of a step; the k-th is sent above k thresholds."""

    value: Values | None
    """What a spike sets the membrane to; None: it does not."""

    subtracts: Values | None
    """What the next step subtracts per spike, after its leak; None: nothing."""

    late: bool
    """Whether that is all a spike does, or the trace of a subtraction before the leak."""

    def level(self, k: int, shift: Values) -> Values:
        """Return the number above which at least `k` spikes are sent by a membrane lower by
        `shift`."""
        if self.meant_at is None:
            return k * self.threshold - shift
        return next_smaller(k * self.meant_at - shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Neurons without anything that plain NIR cannot say."""

    shape: Shape
    current: Filter | None
    reads_old: bool
    membrane: Filter
    test: Test | None
    """None: its membrane is what it sends."""


def outside(population: Population) -> tuple[str, ...]:
    """Return why no NIR node comes near the neurons; empty: one does."""
    found = []
    factors = {"membrane": population.decay}
    if population.synapse is not None:
        factors["current"] = population.synapse.decay
    for state, decay in factors.items():
        wrong = decay[(decay < 0) | (decay > 1)]
        if wrong.size:
            found.append(f"{state} times {wrong.flat[0]:g} a step: NIR's factors lie in 0..1")
    return tuple(found)


def obstacles(population: Population) -> tuple[str, ...]:
    """Return what plain NIR nodes cannot say of the neurons, whatever is put around them."""
    found = []
    p = population
    if p.floor is not None:
        found.append(f"floor at {_number(p.floor.value)}")
    spiking = p.fires in (Fires.BINARY, Fires.COUNT)
    resets = p.reset.kind is not ResetKind.NONE
    if spiking and p.reset.when is When.RETESTED:
        found.append("a spike subtracts at once, and from the next test again if still above")
    if spiking and p.reset.kind is ResetKind.VALUE and p.reset.when is When.NEXT:
        found.append(f"the step after a spike is {_number(p.reset.amount)}: its input is dropped")
    if p.fires is Fires.COUNT:
        most = 1 if p.reset.kind is ResetKind.VALUE else MOST_LEVELS
        if p.max_spikes > most:
            found.append(f"sends up to {p.max_spikes} spikes a step")
    if p.fires is Fires.GRADED and resets:
        found.append("sends its membrane, and is reset")
    found += _over_time(p)
    if p.fires in (Fires.TERNARY, Fires.ROUNDED):
        found.append(f"sends {p.fires.value} spikes")
    if p.further:
        found.append(f"{1 + len(p.further)} synaptic currents")
    late = [b.start for b in p.biases if b.start > 0]
    if late:
        found.append(f"a bias starts at step {min(late)}")
    synapse = p.synapse
    if synapse is not None and synapse.reads is Reads.OLD and np.any(synapse.initial):
        found.append(f"its first step reads a current of {_number(synapse.initial)}")
    return tuple(found)


def _over_time(population: Population) -> list[str]:
    """Return what of the neurons depends on when something happens."""
    p = population
    changing = dict.fromkeys(table.what.value for table in p.tables)
    found = [f"its {what} changes from step to step" for what in changing]
    if p.refractory is not None:
        steps = p.refractory.steps
        found.append("fires once" if steps is None else f"refractory for {steps} steps")
    if p.window is not None:
        found.append(f"fires in steps {p.window.first} to {p.window.behind - 1} only")
    if p.restart is not None:
        found.append(f"starts again every {p.restart.interval} steps")
    if any(bias.waits for bias in p.biases):
        found.append("a bias waits for the first input")
    return found


def _number(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def parts_of(population: Population) -> Parts:
    """Return the parts of neurons that have no obstacle."""
    shape = population.shape

    def full(parameter: np.ndarray) -> Values:
        return np.array(np.broadcast_to(parameter, shape), REAL)

    def bias(into: State) -> Values:
        return sum((full(b.value) for b in population.biases if b.into is into), np.zeros(shape))

    decay, pull = full(population.decay), bias(State.MEMBRANE)
    membrane = Filter(
        decay=decay,
        gain=full(population.gain),
        bias=pull,
        initial=np.where(decay == 0, pull, full(population.initial)),  # forgotten at once
    )
    synapse = population.synapse
    current = None
    if synapse is not None:
        current = Filter(
            decay=full(synapse.decay),
            gain=full(synapse.gain),
            bias=bias(State.CURRENT),
            initial=full(synapse.initial),
        )
    return Parts(
        shape=shape,
        current=current,
        reads_old=synapse is not None and synapse.reads is Reads.OLD,
        membrane=membrane,
        test=_test(population, decay) if population.fires in (Fires.BINARY, Fires.COUNT) else None,
    )


def _test(population: Population, decay: Values) -> Test:
    reset, shape = population.reset, population.shape
    threshold = np.array(np.broadcast_to(population.threshold, shape), REAL)
    amount = np.array(np.broadcast_to(reset.amount, shape), REAL)
    late = reset.when is When.NEXT
    value = subtracts = None
    if reset.kind is ResetKind.VALUE and np.any(decay):  # what is forgotten needs no reset
        value = amount
    if reset.kind is ResetKind.SUBTRACT:
        subtracts = amount if late else decay * amount
        subtracts = subtracts if np.any(subtracts) else None
    at = population.compare is Compare.GREATER_EQUAL
    return Test(
        threshold=next_smaller(threshold) if at else threshold,
        meant_at=threshold if at else None,
        levels=population.max_spikes if population.fires is Fires.COUNT else 1,
        value=value,
        subtracts=subtracts,
        late=late,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What one number per neuron does before the neurons: y = gain * x + bias."""

    gain: Values
    bias: Values | None

    def fits(self) -> bool:
        """Return whether a NIR node can say it."""
        if self.bias is None or _per_channel(self.gain, self.bias):
            return True
        return self.bias.ndim == 1 and self.bias.size <= MOST_DIAGONAL

    def node(self) -> nir.NIRNode:
        """Return that node: Scale, Affine, or a convolution of one tap in each channel."""
        if self.bias is None:
            return nir.Scale(scale=self.gain)
        if self.bias.ndim == 1:
            return nir.Affine(weight=np.diag(self.gain), bias=self.bias)
        axes = self.bias.ndim - 1
        channels = self.bias.shape[0]
        weight = _first_of_channels(self.gain).reshape(channels, 1, *(1,) * axes)
        make = nir.Conv1d if axes == 1 else nir.Conv2d
        one, none = (1, 0) if axes == 1 else ((1, 1), (0, 0))
        node = make(
            input_shape=None,
            weight=weight,
            stride=one,
            padding=none,
            dilation=one,
            groups=channels,
            bias=_first_of_channels(self.bias),
        )
        node.input_shape = self.bias.shape[1] if axes == 1 else self.bias.shape[1:]
        return node


def _per_channel(*each: Values) -> bool:
    """Return whether values of a channel are equal, of shapes that a convolution has."""
    if each[0].ndim not in (2, 3):
        return False
    return all(np.all(_first_of_channels(v) == v.reshape(len(v), -1).T) for v in each)


def _first_of_channels(values: Values) -> Values:
    return np.array(values.reshape(len(values), -1)[:, 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A filter as one NIR node computes it, perhaps with another in front."""

    front: Front | None
    tau: Values | None
    """None: without a leak, as I and IF."""

    r: Values
    """NIR's factor on the input."""

    leak: Values
    """NIR's v_leak, where the filter starts; 0 without a leak."""

    shift: Values
    """How much lower than meant the filter starts and stays."""


def stage(filtered: Filter, dt: float, *, starts: Values | None, shifts: bool, unit: bool) -> Stage:
    """Return how NIR says a filter.

    Args:
        filtered: What it computes.
        dt: Length of a step [s].
        starts: Where a node without a leak starts; None: not known, so that it needs a leak.
        shifts: Whether it may run lower by a constant.
        unit: Whether the node's factor on its input must be 1.
    """
    zero = np.zeros_like(filtered.decay)
    same = starts is not None and np.array_equal(filtered.initial, starts)
    if np.all(filtered.decay == 1) and (same or shifts):
        front, gain = _front(filtered.gain, filtered.bias, unit=unit)
        shift = zero if same else filtered.initial
        return Stage(front=front, tau=None, r=gain / dt, leak=zero, shift=shift)
    tau, share = time_constant(filtered.decay, dt)
    pull = share * filtered.initial
    missing = filtered.bias - pull
    size = np.maximum(np.abs(filtered.bias), np.abs(filtered.initial))
    missing = np.where(np.abs(missing) <= NEGLIGIBLE * size, 0.0, missing)
    front, gain = _front(filtered.gain, missing, unit=unit)
    return Stage(front=front, tau=tau, r=_factor(gain, share), leak=filtered.initial, shift=zero)


def _front(gain: Values, bias: Values, *, unit: bool) -> tuple[Front | None, Values]:
    """Return what stands before a node, and the factor that is left to the node."""
    if np.any(bias):
        return Front(gain=gain, bias=bias), np.ones_like(gain)
    if unit and np.any(gain != 1):
        return Front(gain=gain, bias=None), np.ones_like(gain)
    return None, gain


def _factor(gain: Values, share: Values) -> Values:
    """Return r with share * r = gain; 1 where rounding alone keeps it from 1."""
    r = gain / share
    return np.where(np.abs(r - 1) < NEGLIGIBLE, 1.0, r)


def crowded(front: Front) -> str:
    """Return why a front fits no NIR node."""
    assert front.bias is not None
    if front.bias.ndim == 1:
        return f"{front.bias.size} biases of its own need a matrix of {front.bias.size}^2 numbers"
    return (
        f"a bias of its own for each of {math.prod(front.bias.shape)} places: "
        "NIR adds numbers per channel"
    )
