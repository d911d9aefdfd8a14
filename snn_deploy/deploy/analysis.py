"""What `simulate`, `verify` and `estimate` do with a deployment and data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snn_deploy.backends.lava import LavaBackend
from snn_deploy.backends.protocol import Backend, find_backend
from snn_deploy.deploy import energy, runs
from snn_deploy.deploy.ann import compare_with_ann
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.early_exit import answered
from snn_deploy.deploy.neurobench import NeuroBench, WatchedProgram, trained_metrics
from snn_deploy.deploy.outcomes import LayerActivity, Verification
from snn_deploy.deploy.results import (
    Answer,
    EnergyEstimate,
    Simulation,
)
from snn_deploy.deploy.verify import Comparison, compare
from snn_deploy.deploy.windows import own_steps, spikes_in
from snn_deploy.errors import OptionError
from snn_deploy.ir.codecs import predict
from snn_deploy.quantize.ranges import prove


def backend_named(name: str, time_limit: float | None, option: str = "--backend") -> Backend:
    """Return the backend called `name`, with its time limit [s] if one is given and it has one.

    Raises:
        UnknownNameError: there is none.
        OptionError: the limit is not above 0.
    """
    if time_limit is not None and not time_limit > 0:
        raise OptionError(f"a time limit of {time_limit:g} s", fix="--time-limit 600")
    backend = find_backend(name, option)
    if isinstance(backend, LavaBackend) and time_limit is not None:
        return replace(backend, time_limit=time_limit)
    return backend


def simulate(
    deployment: Deployment, data: Data, backend: str, time_limit: float | None = None
) -> Simulation:
    """Run the integer program on one backend; see `api.simulate`."""
    chosen = backend_named(backend, time_limit)
    program = deployment.program
    spikes: Counter[str] = Counter()
    events: Counter[str] = Counter()
    overflows: Counter[str] = Counter()
    predicted: dict[str, list[int]] = {output.name: [] for output in program.outputs}
    steps = slots = used = 0
    rule = deployment.early_exit
    for block, (trace,) in runs.full_runs([chosen], deployment, data):
        steps = block.steps
        rows, presented = block.inputs[0].values.shape[:2]
        slots += rows * (presented // program.period)
        for population in program.populations:
            record = trace[population.name]
            sent = own_steps(population, record.payload, presented)
            spikes[population.name] += spikes_in(population, sent)
            events[population.name] += int(np.count_nonzero(sent))
            overflows[population.name] += record.overflows
        for output in program.outputs:
            found = answered(program, output, trace, block, rule)
            predicted[output.name] += predict(found.answer).tolist()
            if output == program.outputs[0]:
                used += int(found.steps.sum())
    proofs = prove(program, deployment.target, steps)
    activity = tuple(
        LayerActivity(
            layer=p.name,
            neurons=p.size,
            spikes=spikes[p.name] / data.samples,
            active=events[p.name] / (p.size * slots),
            overflows=overflows[p.name],
            proven=proof.proven,
        )
        for p, proof in zip(program.populations, proofs, strict=True)
    )
    answers = tuple(
        Answer(
            output=name,
            predicted=tuple(classes),
            correct=None
            if data.label is None
            else int(np.count_nonzero(np.array(classes) == data.label)),
        )
        for name, classes in predicted.items()
    )
    return Simulation(
        backend=backend,
        samples=data.samples,
        steps=steps,
        lag=program.lag,
        activity=activity,
        answers=answers,
        left_after=None if rule is None else used / data.samples,
    )


def verify(
    deployment: Deployment, data: Data, against: Sequence[str], time_limit: float | None = None
) -> Verification:
    """Compare the event simulator with others in every state; see `api.verify`.

    Raises:
        OptionError: no backend to compare with is named.
    """
    if not against or "event" in against:
        raise OptionError(
            "the event simulator is compared with others, at least one",
            where="--against",
            fix="--against reference,lava",
        )
    backends = [backend_named(name, time_limit, "--against") for name in ("event", *against)]
    totals = [0] * len(against)
    found: list[Comparison | None] = [None] * len(against)
    overflows = steps = 0
    for block, traces in runs.full_runs(backends, deployment, data):
        steps = block.steps
        overflows += sum(p.overflows for p in traces[0].populations)
        for index, name in enumerate(against):
            one = compare(
                deployment.program, block.inputs, ("event", traces[0]), (name, traces[index + 1])
            )
            totals[index] += one.states
            if found[index] is None and not one.equal:
                found[index] = _numbered(one, block)
    comparisons = tuple(
        Comparison(
            first="event",
            second=name,
            states=total,
            difference=None if first is None else first.difference,
        )
        for name, total, first in zip(against, totals, found, strict=True)
    )
    folder = deployment.folder
    return Verification(
        artifact=str(folder) if folder else deployment.program.name,
        samples=data.samples,
        steps=steps,
        comparisons=comparisons,
        overflows=overflows,
    )


def _numbered(comparison: Comparison, block: runs.Block) -> Comparison:
    """Return `comparison` with its sample as numbered in the data; a stream has only one row."""
    found = comparison.difference
    assert found is not None
    if block.inputs[0].values.shape[0] != block.samples:
        return comparison
    sample = int(block.number[found.sample])
    return replace(comparison, difference=replace(found, sample=sample))


def estimate(
    deployment: Deployment, data: Data, profile: str | None, *, neurobench: bool = False
) -> EnergyEstimate:
    """Count events and price them; see `api.estimate`."""
    target = deployment.target
    if not (profile or target.energy_profile):
        why = f": {target.energy_note}" if target.energy_note else ""
        raise OptionError(
            f"{target.name} names no table of prices{why}",
            where="--profile",
            fix=f"--profile {energy.profiles()[0].name} takes those of another chip",
        )
    chosen = energy.find_profile(profile or target.energy_profile)
    note = f"{chosen.chip} prices: {target.energy_note}" if target.energy_note else ""
    placement = None
    if deployment.core_map is not None:
        placement = energy.Placement.of(deployment.program, deployment.core_map)
    tally = energy.Tally(deployment.program, (chosen,), placement)
    watched = WatchedProgram.of(deployment.program)
    steps = 0
    for block, (trace,) in runs.full_runs([find_backend("event")], deployment, data):
        steps, presented = block.steps, block.inputs[0].values.shape[1]
        watched.add(block.inputs, trace, presented)
        tally.add(block.inputs, trace, presented)
    memory = energy.memory_of(deployment.program, target, deployment.core_map)
    (found,) = tally.estimates(samples=data.samples, steps=steps, note=note, memory=memory)
    layers, done = tally.layers(data.samples), watched.watched.tally.total
    return EnergyEstimate(
        estimate=found,
        ann=compare_with_ann(deployment, done, samples=data.samples, steps=steps),
        neurobench=_neurobench(deployment, data, watched, layers) if neurobench else None,
    )


def _neurobench(
    deployment: Deployment,
    data: Data,
    watched: WatchedProgram,
    layers: Sequence[energy.LayerCount],
) -> NeuroBench:
    return NeuroBench(
        trained=None if deployment.nir is None else trained_metrics(deployment, data),
        integers=watched.metrics(data.samples, deployment.target),
        counts=watched.counts(layers, data.samples),
    )
