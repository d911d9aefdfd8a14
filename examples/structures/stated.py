"""A network that is stated as a layer graph, compared with its training code's own forward pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from shared import Structure

from snn_deploy.frontends import Imported
from snn_deploy.frontends.capture import Comparison, compare_with_module
from snn_deploy.ir.codecs import decode
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

CLOSE = 1e-9
"""Relative difference of two answers in float64 that are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A module and the network that was read or stated, on one sample."""

    spikes: int
    """That the module sends."""

    different: int
    same_answers: bool
    active: tuple[float, ...]
    """Share of neurons and steps with a spike, of each layer of neurons [1]."""


def compared(structure: Structure, module: Any, found: Imported, sample: np.ndarray) -> Compared:
    """Return how a network and its module differ on one sample, [step, *shape]."""
    if structure.sends is None:
        return _read(compare_with_module(module, found.network, sample))
    meant = dict(structure.sends(module, sample))
    answer = meant.pop("output")
    network = found.network
    trace = simulate(network, [Values(name="input", values=sample[None])], EVERYTHING)
    output = network.outputs[0]
    read = decode(trace[output.population], output.decode, 0, len(sample), output.weights)[0]
    close = CLOSE * max(np.abs(answer).max(), 1e-30)
    return Compared(
        spikes=sum(int(np.count_nonzero(sent)) for sent in meant.values()),
        different=sum(
            int(np.count_nonzero(trace[name].payload[0] != sent)) for name, sent in meant.items()
        ),
        same_answers=bool(np.abs(read - answer.reshape(read.shape)).max() <= close),
        active=tuple(float(np.mean(sent != 0)) for sent in meant.values()),
    )


def _read(found: Comparison) -> Compared:
    return Compared(
        spikes=sum(population.sent for population in found.populations),
        different=sum(population.differences for population in found.populations),
        same_answers=all(output.agrees for output in found.outputs),
        active=tuple(p.sent / (p.neurons * found.steps) for p in found.populations),
    )
