"""The reference steps of neurons outside the canonical family: the docstrings of `ir/kinds.py`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from snn_deploy.ir.arithmetic import scaled
from snn_deploy.ir.kinds import (
    WORD,
    Activation,
    Adaptive,
    Delta,
    NeuronKind,
    Resonance,
    Resonator,
    Sigma,
    SigmaDelta,
)
from snn_deploy.ir.neuron import State

if TYPE_CHECKING:
    from snn_deploy.backends.reference import Now

Step = Callable[["Now"], None]
"""Computes one step of one population in place."""


def step_of_kind(kind: NeuronKind) -> Step:
    """Return the step of a kind of neuron."""
    return _STEPS[type(kind)]


def _arriving(now: "Now", into: State) -> np.ndarray:
    """Return the sum of all that arrives at a state, after the accumulator."""
    return now.neurons.held(now.arriving(into), now.program.arithmetic.accumulator)


def _adaptive(now: "Now") -> None:
    kind, neurons, values = now.population.kind, now.neurons, now.neurons.values
    assert isinstance(kind, Adaptive)
    rules = now.program.arithmetic
    bits = rules.decay_bits
    i = scaled(values[State.CURRENT], kind.current_decay, bits) + _arriving(now, State.CURRENT)
    i = neurons.held(i, rules.current)
    v = scaled(values[State.MEMBRANE], kind.decay, bits) + i + kind.bias
    v = neurons.held(v, rules.membrane)
    raised = values[State.THRESHOLD] - kind.base
    theta = scaled(raised, kind.threshold_decay, bits) + kind.base
    theta = neurons.held(theta, WORD)
    r = neurons.held(scaled(values[State.REFRACTION], kind.refraction_decay, bits), WORD)
    fired = v - r >= theta
    r = neurons.held(np.where(fired, r + 2 * theta, r), WORD)
    theta = neurons.held(np.where(fired, theta + kind.increase, theta), WORD)
    values |= {State.CURRENT: i, State.MEMBRANE: v, State.THRESHOLD: theta, State.REFRACTION: r}
    values[State.PAYLOAD] = fired.astype(np.int64)


def _resonator(now: "Now") -> None:
    kind, neurons, values = now.population.kind, now.neurons, now.neurons.values
    assert isinstance(kind, Resonator)
    register, bits = now.program.arithmetic.membrane, kind.decay_bits
    old_re, old_im = values[State.MEMBRANE], values[State.IMAGINARY]
    re = scaled(old_re, kind.cosine, bits) - scaled(old_im, kind.sine, bits)
    im = scaled(old_re, kind.sine, bits) + scaled(old_im, kind.cosine, bits)
    re = neurons.held(re + _arriving(now, State.MEMBRANE), register)
    im = neurons.held(im + _arriving(now, State.IMAGINARY), register)
    if kind.fires_at is Resonance.CROSSING:
        fired = (re >= kind.threshold) & (im >= 0) & (old_im < 0)
    else:
        fired = im >= kind.threshold
        re = np.where(fired, 0, re)
        im = np.where(fired, kind.threshold - 1, im)
    values |= {State.MEMBRANE: re, State.IMAGINARY: im, State.PAYLOAD: fired.astype(np.int64)}


def _sigma(now: "Now") -> None:
    neurons, values = now.neurons, now.neurons.values
    total = neurons.held(values[State.SIGMA] + _arriving(now, State.SIGMA), WORD)
    values |= {State.SIGMA: total, State.PAYLOAD: total}


def _delta(now: "Now") -> None:
    kind = now.population.kind
    assert isinstance(kind, Delta)
    _encode(now, kind, now.neurons.held(_arriving(now, State.ACTIVATION), WORD))


def _sigma_delta(now: "Now") -> None:
    kind, neurons, values = now.population.kind, now.neurons, now.neurons.values
    assert isinstance(kind, SigmaDelta)
    total = neurons.held(values[State.SIGMA] + _arriving(now, State.SIGMA), WORD)
    values[State.SIGMA] = total
    x = neurons.held(total + kind.bias, WORD)
    _encode(now, kind, np.maximum(x, 0) if kind.activation is Activation.RELU else x)


def _encode(now: "Now", kind: Delta | SigmaDelta, x: np.ndarray) -> None:
    neurons, values = now.neurons, now.neurons.values
    change = neurons.held(x - values[State.ACTIVATION] + values[State.RESIDUE], WORD)
    measure = change
    if kind.cumulative:
        measure = neurons.held(values[State.ERROR] + change, WORD)
    out = np.where(np.abs(measure) >= kind.threshold, change, 0)
    if kind.cumulative:
        values[State.ERROR] = np.where(out != 0, 0, measure)
    values[State.ACTIVATION] = x
    values[State.RESIDUE] = change - out
    values[State.PAYLOAD] = out >> kind.payload_shift


_STEPS: dict[type[NeuronKind], Step] = {
    Adaptive: _adaptive,
    Resonator: _resonator,
    Sigma: _sigma,
    Delta: _delta,
    SigmaDelta: _sigma_delta,
}
