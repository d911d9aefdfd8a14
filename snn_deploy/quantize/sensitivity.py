"""How much each layer alone suffers from fewer bits, and what its bits cost."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.maps import fan_out
from snn_deploy.ir.network import Network
from snn_deploy.ir.trace import Values
from snn_deploy.quantize.layer import Layers
from snn_deploy.quantize.options import Options
from snn_deploy.quantize.pipeline import pipeline_for
from snn_deploy.quantize.to_program import ToIntegers
from snn_deploy.quantize.widths import FEWEST, Least, Widths
from snn_deploy.targets import Target


def sensitivity(
    network: Network,
    target: Target,
    *,
    encoding: Encoding,
    calibration: Sequence[Values],
    options: Options,
    least: Least = Least.MEMORY,
) -> tuple[Widths, ...]:
    """Return for each population that weights drive its error at each width, and their cost.

    Each is rounded alone, fed by what the real-valued network sends.

    Args:
        network: What was trained.
        target: The chip.
        encoding: Of the inputs.
        calibration: Real-valued inputs [sample, step, *shape].
        options: All but the bits of the weights.
        least: What counts as cost.

    Raises:
        DeployError: as `compile_network`.
    """
    pipeline = pipeline_for(target, encoding=encoding, calibration=calibration, options=options)
    graph = network
    for step in pipeline:
        if isinstance(step, ToIntegers):
            layers = step.layers(graph)
            driven = [name for name in step_order(graph) if graph.into(name)]
            return tuple(_widths(layers, name, least) for name in driven)
        graph = step(graph).graph
    raise AssertionError("a pipeline without ToIntegers")


def _widths(layers: Layers, name: str, least: Least) -> Widths:
    assert layers.trials is not None
    errors = {}
    for bits in range(FEWEST, layers.target.weights.bits.value + 1):
        options = replace(layers.options, weight_bits=bits, trials=1)
        candidate = replace(layers, options=options).candidates(name)[0]
        errors[bits] = layers.trials.relative_error(candidate)
    return Widths(name=name, cost=_cost(layers, name, least), errors=errors)


def _cost(layers: Layers, name: str, least: Least) -> float:
    into = layers.network.into(name)
    if least is Least.MEMORY:
        return float(sum(p.map.numbers().size for p in into))
    assert layers.trials is not None
    total = 0.0
    for p in into:
        sent = layers.trials.sent[p.source]
        events = np.count_nonzero(sent, axis=(0, 1)).ravel() / len(sent)
        total += float(events @ fan_out(p.map))
    return total
