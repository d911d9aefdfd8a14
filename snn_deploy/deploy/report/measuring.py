"""What a run on samples shows: activity, agreement, spikes, states, energy."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import analysis, runs
from snn_deploy.deploy.against import Compared, compare, of_network
from snn_deploy.deploy.alone import in_own_steps
from snn_deploy.deploy.data import Data, encode
from snn_deploy.deploy.divergence import LayerDivergence
from snn_deploy.deploy.report.costs import Counter
from snn_deploy.deploy.report.model import (
    Agreement,
    Answers,
    Cost,
    Measured,
    Observed,
    Other,
    Raster,
)
from snn_deploy.deploy.report.raster import LAYERS, raster
from snn_deploy.deploy.results import Simulation
from snn_deploy.errors import DeployError
from snn_deploy.ir.maps import Convolution, LinearMap
from snn_deploy.ir.neuron import CURRENTS, State
from snn_deploy.ir.presentation import windows
from snn_deploy.ir.program import Role
from snn_deploy.ir.trace import Trace

if TYPE_CHECKING:
    from snn_deploy.deploy.deployment import Deployment

VERIFIED = 16
"""Most samples on which the event simulator is compared with the reference simulator."""

AT_EXPORT = 200_000_000
"""Synapses times steps that an export gives to slow simulators: below a second."""


MESSAGES = 2_000_000
"""Messages between cores that an export follows for energy and time: some seconds; or those of
one sample,"""

MOST_MESSAGES = 10 * MESSAGES
"""unless these are more than this."""


def measure(deployment: "Deployment", data: Data, most: int | None = None) -> Measured:
    """Run a deployment on samples and return what a report says of that.

    Args:
        deployment: What is run.
        data: The samples.
        most: Synapses times steps that the plain simulators (reference, and real values) may
            compute; None: as many as there are.

    Raises:
        DeployError: the data does not suit the network, or there is no memory for its states.
    """
    simulated = analysis.simulate(deployment, data, "event")
    slow, missing = _affordable(deployment, data, most)
    verified = min(slow, VERIFIED)
    compared: Compared | None = None
    if slow and deployment.nir is not None:
        compared = compare(deployment, data.part(0, slow), of_network(deployment.network))
    rasters, observed = _recorded(deployment, data)
    cost, others = _costs(deployment, data, bounded=most is not None)
    return Measured(
        samples=data.samples,
        steps=simulated.steps,
        compared=0 if compared is None else slow,
        number=int(data.number[0]),
        activity=simulated.activity,
        answers=_answers(simulated, compared if slow == data.samples else None),
        verification=None
        if not verified
        else replace(
            analysis.verify(deployment, data.part(0, verified), ["reference"]),
            artifact=deployment.program.name,
        ),
        agreement=()
        if compared is None
        else tuple(_agreement(layer, slow) for layer in compared.layers),
        rasters=rasters,
        observed=observed,
        cost=cost if not isinstance(cost, str) else None,
        others=others,
        missing=(*missing, *([cost] if isinstance(cost, str) else [])),
    )


def attempted(
    deployment: "Deployment", data: Data, most: int | None = None
) -> tuple[Measured | None, str]:
    """Return what is measured, or None and why nothing could be."""
    try:
        return measure(deployment, data, most), ""
    except DeployError as problem:
        return None, problem.message


def _affordable(
    deployment: "Deployment", data: Data, most: int | None
) -> tuple[int, tuple[str, ...]]:
    """Return the samples that slow simulators run, and what to say where there are none."""
    if most is None:
        return data.samples, ()
    program = deployment.program
    synapses = sum(_synapses(p.map) for p in program.projections)
    one = max(1, synapses * _steps(deployment, data))
    slow = min(data.samples, most // one)
    if slow:
        return slow, ()
    return 0, (
        "The integers were not compared with the reference simulator and the network as trained: "
        f"a sample takes {one:.1e} synapses times steps, and an export gives {most:.0e} to it. "
        "snn-deploy report ARTIFACT --input DATA compares them.",
    )


def _steps(deployment: "Deployment", data: Data) -> int:
    """Return the steps of a sample on the chip."""
    program = deployment.program
    return encode(data.part(0, 1), deployment.encoding).steps * program.period + program.lag


def _synapses(linear: LinearMap) -> int:
    """Return the synapses of a map, those at the edges of an image counted as if whole."""
    if isinstance(linear, Convolution):
        return int(np.prod(linear.weight.shape[1:])) * linear.out_size
    return int(linear.numbers().size)


def _costs(
    deployment: "Deployment", data: Data, *, bounded: bool
) -> tuple[Cost | str, tuple[Other, ...]]:
    """Return energy and time; at export of as few samples as can be counted quickly."""
    samples, core_map = data.samples, deployment.core_map
    if bounded and core_map is not None:
        one = max(1, int(core_map.messages * _steps(deployment, data)))
        if one > MOST_MESSAGES:
            return (
                f"Energy and time were not estimated: a sample sends about {one:.1e} messages, and "
                f"an export follows {MOST_MESSAGES:.0e}. snn-deploy report ARTIFACT --input DATA "
                "estimates them."
            ), ()
        samples = min(samples, max(1, MESSAGES // one))
    counter, steps = Counter(deployment), 0
    for block, (trace,) in runs.full_runs(
        [find_backend("event")], deployment, data.part(0, samples)
    ):
        counter.add(block.inputs, trace, block.inputs[0].values.shape[1])
        steps = block.steps
    return counter.costs(samples, steps)


def _answers(simulated: Simulation, compared: Compared | None) -> tuple[Answers, ...]:
    return tuple(
        Answers(
            output=answer.output,
            correct=answer.correct,
            correct_as_trained=compared.correct_expected if compared and not place else None,
            same=compared.same if compared and not place else None,
        )
        for place, answer in enumerate(simulated.answers)
    )


def _agreement(found: LayerDivergence, samples: int) -> Agreement:
    trains, alone = found.whole.trains, found.alone.trains
    return Agreement(
        layer=found.layer,
        spikes=None if trains is None else trains.expected / samples,
        ratio=None if trains is None else _finite(trains.ratio),
        mismatch=None if trains is None else _finite(trains.mismatch),
        alone=None if alone is None else _finite(alone.mismatch),
        agreement=None if trains is None else trains.agreement,
        identical=None if trains is None else trains.identical,
        error=_finite(found.whole.membranes.relative),
        causes=tuple((c.cause.value, c.repaired / found.examined) for c in found.causes),
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


REGISTERS = (*CURRENTS, State.MEMBRANE)


def _recorded(
    deployment: "Deployment", data: Data
) -> tuple[tuple[Raster, ...], tuple[Observed, ...]]:
    """Return the spikes of the first sample, and what registers held in all of them."""
    program = deployment.program
    rasters: tuple[Raster, ...] = ()
    ends: dict[tuple[str, State], tuple[int, int]] = {}
    for block, (trace,) in runs.full_runs([find_backend("event")], deployment, data):
        if not rasters:
            rasters = tuple(_rasters(deployment, block, trace))
        for population in program.populations:
            for state in REGISTERS:
                record = trace[population.name].state(state)
                if record is None or not record.size:
                    continue
                key = population.name, state
                low, high = int(record.min()), int(record.max())
                before = ends.get(key, (low, high))
                ends[key] = min(low, before[0]), max(high, before[1])
    return rasters, tuple(
        Observed(layer=layer, state=state, low=low, high=high)
        for (layer, state), (low, high) in ends.items()
    )


def _rasters(deployment: "Deployment", block: runs.Block, trace: Trace) -> Iterator[Raster]:
    """Yield the spikes of the block's first sample, inputs first, in the steps of the network."""
    program = deployment.program
    row, start = next(windows(program.boundary, block.samples, block.steps))
    own = slice(start, start + block.steps)
    presented = block.inputs[0].values.shape[1] // program.period
    entering = {v.name: v.values[:, :: program.period] for v in block.inputs}
    names = [p.name for p in program.populations if p.role is Role.NEURONS]
    names = [name for name in names if np.any(trace[name].events)]
    for name in (*(entry.name for entry in program.inputs), *names)[:LAYERS]:
        sent = entering.get(name)
        if sent is None:
            sent = in_own_steps(program, trace, name, presented).payload
        if sent is not None:
            yield raster(name, sent[row, own])
