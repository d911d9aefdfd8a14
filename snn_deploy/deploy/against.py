"""Integers against real values: where each layer first sends something else, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from jaxtyping import Int64

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import runs
from snn_deploy.deploy.compared_layer import ComparedLayer, Side
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.divergence import LayerDivergence
from snn_deploy.deploy.explain import SPIKES_AND_MEMBRANES
from snn_deploy.deploy.progress import bar
from snn_deploy.ir.codecs import predict
from snn_deploy.ir.network import Between, Network
from snn_deploy.ir.presentation import dilated, windows
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Trace, Values
from snn_deploy.quantize import Options, Pipeline, pipeline_for
from snn_deploy.quantize.suit import ScaleArrivals
from snn_deploy.quantize.to_program import ToIntegers

Reference = Callable[[Sequence[Values]], Trace]
"""Runs what the integers are compared with on real inputs: payloads and membranes."""


def of_network(network: Network) -> Reference:
    """Return the real-valued network as what integers are compared with."""

    def run(inputs: Sequence[Values]) -> Trace:
        return simulate(network, inputs, SPIKES_AND_MEMBRANES)

    return run


def prepared(deployment: Deployment) -> Network:
    """Return the real-valued network in the form that was rounded: all passes up to rounding.

    But for `ScaleArrivals`, which makes it another network where currents decay first.
    """
    passes = pipeline_for(
        deployment.target, encoding=deployment.encoding, calibration=None, options=Options()
    )
    before = takewhile(lambda step: not isinstance(step, ToIntegers), passes)
    kept = tuple(step for step in before if not isinstance(step, ScaleArrivals))
    graph: Network = Pipeline(kept)(deployment.network).graph
    return graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Layers and answers of the integers against those of real values."""

    steps: int
    layers: tuple[LayerDivergence, ...]
    correct: int | None
    """Right answers of the integers, where the data has labels."""

    correct_expected: int | None
    same: int
    """Samples for which both give the same class."""


def compare(deployment: Deployment, data: Data, reference: Reference) -> Compared:
    """Compare the integers with `reference` layer by layer; find the causes of what differs."""
    network, program = deployment.network, deployment.program
    backend, ready = find_backend("event"), prepared(deployment)
    names = {p.name for p in network.populations}
    layers = [
        ComparedLayer(deployment, ready, p.name, backend)
        for p in program.populations
        if p.name in names
    ]
    width = 2 * (runs.recorded_width(program) + sum(i.size for i in network.inputs))
    wholes = runs.blocks(data, deployment, width)
    reals = runs.blocks(data, deployment, width, real=True)
    answers: list[tuple[np.ndarray, np.ndarray]] = []
    steps = 0
    with bar("against real values", data.samples) as advance:
        for whole, real in zip(wholes, reals, strict=True):
            integers = _in_network_steps(whole, real, program.period)
            entering = dilated(integers, program.period)
            side = Side(
                block=whole,
                windows=tuple(windows(program.boundary, whole.samples, whole.steps)),
                stride=whole.steps + network.boundary.idle,
                fresh=network.boundary.between is Between.FRESH,
                wanted=reference(real.inputs),
                got=backend.run(program, entering, SPIKES_AND_MEMBRANES),
                real={v.name: v.values for v in real.inputs},
                whole={v.name: v.values[:, :: program.period] for v in whole.inputs},
            )
            for layer in layers:
                layer.add(side)
            answers.append(_answers(deployment, side, real))
            steps = whole.steps
            advance(whole.samples)
    expected, got = (np.concatenate(part) for part in zip(*answers, strict=True))
    return Compared(
        steps=steps,
        layers=tuple(layer.result() for layer in layers),
        correct=None if data.label is None else int(np.count_nonzero(got == data.label)),
        correct_expected=None
        if data.label is None
        else int(np.count_nonzero(expected == data.label)),
        same=int(np.count_nonzero(expected == got)),
    )


def _in_network_steps(whole: runs.Block, real: runs.Block, period: int) -> tuple[Values, ...]:
    """Return integer inputs as they enter the network: without the steps between of a program."""
    steps = real.inputs[0].values.shape[1]
    return tuple(
        v if v.values.shape[1] == steps else replace(v, values=v.values[:, ::period])
        for v in whole.inputs
    )


def _answers(
    deployment: Deployment, side: Side, real: runs.Block
) -> tuple[Int64[np.ndarray, " sample"], Int64[np.ndarray, " sample"]]:
    """Return the classes that the reference and the integers give."""
    network, program = deployment.network, deployment.program
    expected = runs.network_answer(network, network.outputs[0], side.wanted, real)
    got = runs.program_answer(program, program.outputs[0], side.got, side.block)
    return predict(expected), predict(got)
