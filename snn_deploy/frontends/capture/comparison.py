"""Compares a module with our network of it on a sample: every spike of every layer of neurons.

Each population is given what the module's own layers sent, so that a difference comes from the
population in which it is found, and not from one before it. A neuron may fire otherwise only where
its membrane lies within float32's rounding of the threshold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snn_deploy.errors import GraphError
from snn_deploy.frontends.capture.axes import Layout, Over
from snn_deploy.frontends.capture.called import ROOT
from snn_deploy.frontends.capture.formulas import Formulas
from snn_deploy.frontends.capture.leaves import JOINING, Probe, leaves, probe
from snn_deploy.frontends.capture.module import attempt, checked_sample
from snn_deploy.frontends.capture.outputs import Given
from snn_deploy.frontends.capture.run import Tracing
from snn_deploy.frontends.registry import short_name
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.network import Input, Network, Output, Population
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, PopulationTrace, Trace, Values
from snn_deploy.ir.words import counted

NEAR = 1e-5
"""Distance of a membrane to its threshold, relative to it, below which float32 may decide
otherwise than we do."""

SAME = 1e-6
"""Difference of payloads, relative to the largest one, that the rounding of a factor makes."""

CLOSE = 1e-4
"""Difference of a membrane or of an output, relative to the largest one, that rounding makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One neuron that does not send in a step what the module's neuron sends."""

    population: str
    step: int
    neuron: tuple[int, ...]
    ours: float
    theirs: float
    near: bool
    """Whether rounding explains it: with a threshold that differs by `NEAR` we send the same."""

    def __str__(self) -> str:
        return (
            f"{self.population} sends {self.ours:g} in step {self.step} from neuron "
            f"{list(self.neuron)}, and the module's neuron {self.theirs:g}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationComparison:
    """How one population compares with the layer that it was made from."""

    name: str
    neurons: int
    sent: int
    """Neurons and steps in which the module's layer sent something."""

    differences: int
    """Neurons whose first difference is near the threshold, and those where it is not."""

    first: Difference | None
    """The first that rounding does not explain, else the first of all."""

    @property
    def agrees(self) -> bool:
        """Whether there are no differences, or rounding explains them."""
        return self.first is None or self.first.near


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputComparison:
    """How one output compares with what the module returns."""

    name: str
    largest: float
    """Difference, in the units of the module's output."""

    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A module and our network of it, on one sample."""

    layout: Layout
    steps: int
    populations: tuple[PopulationComparison, ...]
    outputs: tuple[OutputComparison, ...]

    @property
    def agrees(self) -> bool:
        """Whether all is equal, but for what rounding explains."""
        return all(p.agrees for p in self.populations) and all(o.agrees for o in self.outputs)

    @property
    def exact(self) -> bool:
        """Whether every population sends the same in every step."""
        return self.agrees and not any(p.differences for p in self.populations)

    @property
    def silent(self) -> tuple[str, ...]:
        """Populations that sent nothing at all, of which the sample therefore shows little."""
        return tuple(p.name for p in self.populations if not p.sent)

    def findings(self) -> tuple[Finding, ...]:
        """Return a finding for each population that fires otherwise near its threshold, and for
        each that sent nothing, which the comparison therefore says nothing of."""
        quiet = tuple(
            Finding(
                kind=Kind.UNPROVEN,
                layer=name,
                amount=f"it sent nothing in {counted(self.steps, 'step')}",
                reason="so it was not compared with the module; a sample= on which it fires would",
            )
            for name in self.silent
        )
        return quiet + tuple(
            Finding(
                kind=Kind.ROUNDED,
                layer=population.name,
                amount=f"{counted(population.differences, 'neuron')} of {population.neurons} "
                f"from step {population.first.step} on",
                reason="their membranes lie within float32's rounding of the threshold, and the "
                "module's arithmetic decides otherwise than ours",
            )
            for population in self.populations
            if population.first is not None
        )


def replay(
    module: Any, network: Network, sample: np.ndarray, *, layout: Layout | None = None
) -> tuple[Finding, ...]:
    """Compare a module with our network of it; return what its user should know.

    Raises:
        GraphError: a neuron, or an output, differs by more than rounding.
        ModelError: the module raises, or what it does cannot be followed.
    """
    compared = compare_with_module(module, network, sample, layout=layout)
    for population in compared.populations:
        if not population.agrees and population.first is not None:
            first = population.first
            where = f"{first.population}{list(first.neuron)}, step {first.step}"
            most = network.population(first.population).max_spikes
            if first.ours == most < first.theirs and most > 1:
                raise GraphError(
                    f"the module's neuron sends {first.theirs:g} spikes in a step, and ours at "
                    f"most {most}: a chip's messages need a bound",
                    where=where,
                    fix=f"give the module that bound too, such as max_spikes_per_dt={most} or "
                    f"MaxSpike({most}), or a weaker sample=",
                )
            raise GraphError(
                f"the network that was read does not compute what the module computes: {first}",
                where=where,
                fix="this layer, or what feeds it, has a part that was not read: please report "
                "it, and write the network as NIR meanwhile",
            )
    for output in compared.outputs:
        if not output.agrees:
            raise GraphError(
                "the network that was read does not give what the module gives: the outputs "
                f"differ by up to {output.largest:.3g}",
                where=output.name,
                fix="return what the last layer gives in every step, or its sum or mean over them",
            )
    return compared.findings()


def compare_with_module(
    module: Any, network: Network, sample: np.ndarray, *, layout: Layout | None = None
) -> Comparison:
    """Run a module and our network of it on a sample, and compare them step by step.

    Args:
        module: The torch module; it stays as it was.
        network: What `load` made of it.
        sample: What enters both, [step, *shape].
        layout: How the module takes it; None: as in `capture`.

    Raises:
        OptionError: a sample that cannot be one.
        ModelError: the module raises, or what it does cannot be followed.
    """
    values = checked_sample(sample)
    seen = attempt(module, values, layout, Formulas())
    return compared(module, network, values, seen)


def compared(module: Any, network: Network, sample: np.ndarray, seen: Tracing) -> Comparison:
    """Compare a run of a module on a sample with our network on the same sample."""
    records, traces, sent = _followed(module, network, sample, seen)

    def alone(population: Population) -> PopulationTrace:
        return _alone(network, population, sent, own=False)

    populations = tuple(
        _compare(network.population(name), records[name], alone) for name in records
    )
    outputs = tuple(
        _compare_output(network, output, given, traces)
        for output, given in zip(_in_order(network), seen.outputs, strict=True)
    )
    return Comparison(
        layout=seen.layout, steps=seen.steps, populations=populations, outputs=outputs
    )


def module_trace(
    module: Any, network: Network, sample: np.ndarray, *, layout: Layout | None = None
) -> Trace:
    """Run a module on a sample; return what its neurons sent, as populations of our network.

    Membranes are those of our network when all its populations send what the module's layers
    sent; a population that is no layer of neurons of the module sends what ours sends then.

    Args:
        module: The torch module; it stays as it was.
        network: What `load` made of it.
        sample: What enters both, [step, *shape].
        layout: How the module takes it; None: as in `capture`.

    Raises:
        OptionError: a sample that cannot be one.
        ModelError: the module raises, or what it does cannot be followed.
    """
    values = checked_sample(sample)
    seen = attempt(module, values, layout, Formulas())
    _, traces, sent = _followed(module, network, values, seen)
    return Trace(
        steps=seen.steps,
        populations=tuple(
            replace(
                traces[population.name],
                events=np.count_nonzero(sent[population.name], axis=0)[None].astype(np.int64),
                spikes=sent[population.name].sum(axis=0)[None].astype(np.int64),
                states={
                    **traces[population.name].states,
                    State.PAYLOAD: sent[population.name][None],
                },
            )
            for population in network.populations
        ),
    )


def _in_order(network: Network) -> list[Output]:
    def number(output: Output) -> int:
        tail = output.name.rpartition("_")[2]
        return int(tail) if tail.isdecimal() else 0

    return sorted(network.outputs, key=number)


def _records(module: Any, network: Network, seen: Tracing) -> dict[str, np.ndarray]:
    """Return what the module's neurons sent, [step, *shape], by the name of our population."""
    found = {}
    known = {population.name: population for population in network.populations}
    layers = {path or ROOT: layer for path, layer in leaves(module)}
    outer = f"{ROOT}." if short_name(module) in JOINING else ""  # as `read_module` calls it
    for path, sent in seen.sent.items():
        read: Probe = probe(layers[path], outer + path)
        cell = read.cell
        if cell is None or cell[0] not in known or len(sent) != seen.steps:
            continue
        name, factor = cell
        population = known[name]
        if np.any(factor == 0):
            continue  # nothing arrives of what they send
        found[name] = sent.reshape(len(sent), *population.shape) / factor
    return found


def _followed(
    module: Any, network: Network, sample: np.ndarray, seen: Tracing
) -> tuple[dict[str, np.ndarray], dict[str, PopulationTrace], dict[str, np.ndarray]]:
    """Return what the module's neurons sent, and then as `_forced` does."""
    if seen.layout is Layout.CONSTANT:
        sample = np.repeat(sample[:1], seen.steps, axis=0)
    records = _records(module, network, seen)
    return records, *_forced(network, sample, records)


def _forced(
    network: Network, sample: np.ndarray, records: Mapping[str, np.ndarray]
) -> tuple[dict[str, PopulationTrace], dict[str, np.ndarray]]:
    """Return the trace of each population when all others send what the module's layers sent, and
    what each of them sends, [step, *shape]."""
    entries = [Values(name=entry.name, values=sample[None]) for entry in network.inputs]
    free = simulate(network, entries, EVERYTHING)
    sent = {entry.name: sample for entry in network.inputs}
    for population in network.populations:
        payload = free[population.name].state(State.PAYLOAD)
        assert payload is not None
        sent[population.name] = records.get(population.name, payload[0])
    traces = {}
    for population in network.populations:
        trace = _alone(network, population, sent, own=population.name not in records)
        traces[population.name] = trace
        payload = trace.state(State.PAYLOAD)
        if population.name not in records and payload is not None:
            sent[population.name] = payload[0]
    return traces, sent


def _alone(
    network: Network, population: Population, sent: Mapping[str, np.ndarray], *, own: bool
) -> PopulationTrace:
    """Simulate one population that is sent to.

    Args:
        network: Where it stands.
        population: Which one.
        sent: What every input and population sends, [step, *shape].
        own: Whether it feeds its own spikes back, rather than those in `sent`.
    """
    projections, sources = [], {}
    for number, projection in enumerate(network.into(population.name)):
        if projection.source == population.name and own:
            projections.append(projection)
            continue
        name = f"{number}:{projection.source}"
        sources[name] = projection.source
        projections.append(replace(projection, source=name))
    inputs = tuple(
        Input(name=name, shape=network.source_shape(source)) for name, source in sources.items()
    )
    steps = len(next(iter(sent.values())))
    given = dict(sent)
    if not inputs:  # a network needs one
        inputs, sources = (Input(name=":", shape=(1,)),), {":": ":"}
        given[":"] = np.zeros((steps, 1))
    part = replace(
        network,
        inputs=inputs,
        populations=(population,),
        projections=tuple(projections),
        outputs=(Output(name="output", population=population.name, decode=Decode.MEMBRANE_END),),
    )
    values = [
        Values(name=entry.name, values=np.asarray(given[sources[entry.name]])[None])
        for entry in inputs
    ]
    return simulate(part, values, EVERYTHING)[population.name]


def _compare(
    population: Population, theirs: np.ndarray, alone: Callable[[Population], PopulationTrace]
) -> PopulationComparison:
    """Compare what a population sends with what the module's neurons sent.

    Args:
        population: Ours.
        theirs: [step, *shape].
        alone: Returns the trace of the population, or of one that differs from it, when all
            others send what the module's layers sent.
    """
    analog = not population.fires.spiking
    ours = _sent(population, alone(population))
    scale = float(np.max(np.abs(theirs), initial=0.0))
    wrong = np.abs(ours - theirs) > (CLOSE * scale if analog else SAME * max(1.0, scale))
    explained = np.zeros_like(wrong)
    if not analog and wrong.any():
        for nudged in _nudged(population):
            explained |= np.abs(_sent(nudged, alone(nudged)) - theirs) <= SAME * max(1.0, scale)
    found = [
        Difference(
            population=population.name,
            step=step,
            neuron=neuron,
            ours=float(ours[(step, *neuron)]),
            theirs=float(theirs[(step, *neuron)]),
            near=bool(explained[(step, *neuron)]),
        )
        for step, neuron in _first_of_each(wrong)
    ]
    far = [difference for difference in found if not difference.near]
    return PopulationComparison(
        name=population.name,
        neurons=population.size,
        sent=int(np.count_nonzero(theirs)),
        differences=len(found),
        first=next(iter(far or found), None),
    )


def _nudged(population: Population) -> tuple[Population, ...]:
    """Return the population with thresholds a little higher, and a little lower."""

    def moved(threshold: np.ndarray, sign: int) -> np.ndarray:
        size = NEAR * np.where(threshold == 0, 1.0, np.abs(threshold))
        return np.asarray(threshold + sign * size)

    return tuple(
        replace(
            population,
            threshold=moved(population.threshold, sign),
            lower=moved(population.lower, -sign),
        )
        for sign in (1, -1)
    )


def _sent(population: Population, trace: PopulationTrace) -> np.ndarray:
    analog = not population.fires.spiking
    return _recorded(trace, State.MEMBRANE if analog else State.PAYLOAD)


def _first_of_each(wrong: np.ndarray) -> list[tuple[int, tuple[int, ...]]]:
    """Return (step, neuron) of the first difference of each neuron, in the order of steps."""
    firsts = [
        (int(wrong[(slice(None), *neuron)].argmax()), tuple(int(i) for i in neuron))
        for neuron in np.argwhere(wrong.any(axis=0))
    ]
    return sorted(firsts)


def _recorded(trace: PopulationTrace, state: State) -> np.ndarray:
    record = trace.state(state)
    assert record is not None
    return np.asarray(record[0], np.float64)


def _compare_output(
    network: Network, output: Output, given: Given, traces: Mapping[str, PopulationTrace]
) -> OutputComparison:
    """Compare what the module returns with what our population gives, but for a factor of a sum."""
    population = network.population(output.population)
    analog = not population.fires.spiking
    spikes = not analog and output.decode is Decode.COUNT
    ours = _recorded(traces[population.name], State.PAYLOAD if spikes else State.MEMBRANE)
    if output.delay:
        ours = np.concatenate([np.zeros_like(ours[: output.delay]), ours[: -output.delay]])
    reduced = _over(ours, given.over).reshape(given.values.shape)
    factor = 1.0
    if given.over in (Over.SUM, Over.MEAN):
        power = float(np.sum(reduced**2))
        factor = float(np.sum(reduced * given.values)) / power if power else 1.0
    largest = float(np.max(np.abs(given.values - factor * reduced), initial=0.0))
    scale = float(np.max(np.abs(given.values), initial=0.0))
    return OutputComparison(
        name=output.name, largest=largest, agrees=largest <= CLOSE * max(scale, 1e-30)
    )


def _over(values: np.ndarray, over: Over | None) -> np.ndarray:
    if over is Over.SUM:
        return np.asarray(values.sum(axis=0))
    if over is Over.MEAN:
        return np.asarray(values.mean(axis=0))
    if over is Over.MAX:
        return np.asarray(values.max(axis=0))
    return values if over is None else values[-1]
