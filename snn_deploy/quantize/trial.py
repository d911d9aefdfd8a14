"""Trying scales on calibration data: one layer at a time, fed by the rounded layers below.

A trial runs the whole numbers of a layer in the real-valued simulator. All it misses of the chip
is that decays round toward zero there, half a state unit per step on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Num

from snn_deploy.errors import DataError
from snn_deploy.ir import network as real
from snn_deploy.ir import program as whole
from snn_deploy.ir.arithmetic import Arithmetic
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.delays import History
from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import CURRENTS, Decode, Fires, State
from snn_deploy.ir.simulate import arrivals_at, simulate
from snn_deploy.ir.trace import EVERYTHING, PopulationTrace, Recording, Trace, Values
from snn_deploy.quantize.drive import Activity
from snn_deploy.quantize.extras import real_current, real_extras
from snn_deploy.quantize.guards import activity_findings, state_findings
from snn_deploy.quantize.moments import Moment, memory_decays, second_moment
from snn_deploy.quantize.normalize import entering
from snn_deploy.quantize.rounded import Rounded
from snn_deploy.quantize.suit import as_computed
from snn_deploy.targets import Target


@dataclass(slots=True, kw_only=True)
class Trials:
    """The calibration run: what each source sends, rounded as far as the work has come."""

    network: Network
    given: dict[str, np.ndarray]
    """What enters each input [sample, step, *shape], in real units."""

    wanted: Trace
    """The real-valued network on the same data."""

    sent: dict[str, np.ndarray]
    """Payloads of inputs and populations [sample, step, *shape]: rounded ones where they exist."""

    wanted_sent: dict[str, np.ndarray]
    """The same of the real-valued network, in units of the payloads of an input."""

    rules: Arithmetic
    """Of the target."""

    highest: int
    """Largest membrane that the target's register holds."""

    @classmethod
    def start(
        cls,
        network: Network,
        calibration: Sequence[Values],
        encoding: Encoding,
        target: Target,
    ) -> "Trials":
        """Run the real-valued network and prepare the rounded one.

        Raises:
            DataError: an input is missing or has a wrong shape.
        """
        given = {values.name: values.values for values in calibration}
        sent, wanted = {}, []
        for entry in network.inputs:
            if entry.name not in given or given[entry.name].shape[2:] != entry.shape:
                raise DataError(
                    f"the calibration data has no array [sample, step, "
                    f"{', '.join(map(str, entry.shape))}] for this input",
                    where=entry.name,
                )
            payload = np.rint(given[entry.name] / encoding.unit)
            sent[entry.name] = np.clip(payload, encoding.low, encoding.high).astype(np.float64)
            wanted.append(Values(name=entry.name, values=given[entry.name]))
        trace = simulate(as_computed(network, target), wanted, EVERYTHING)
        for population in trace.populations:
            assert population.payload is not None
            sent[population.name] = population.payload.astype(np.float64)
        real_values = {v.name: v.values for v in wanted}
        given_units = {name: v / encoding.unit for name, v in real_values.items()}
        return cls(
            network=network,
            given=real_values,
            wanted=trace,
            sent=sent,
            wanted_sent={**sent, **given_units},
            rules=target.arithmetic,
            highest=target.highest_state,
        )

    def activity(self, source: str) -> Activity:
        """Return what `source` sends on average."""
        payload = self.sent[source].reshape(-1, int(np.prod(self.sent[source].shape[2:])))
        return Activity(mean=payload.mean(axis=0), power=np.square(payload).mean(axis=0))

    def sent_mean(self, source: str) -> Float[np.ndarray, "step neuron"]:
        """Return the mean payload in each step of each neuron, rounded where that is known."""
        return _step_means(self.sent[source])

    def wanted_mean(self, source: str) -> Float[np.ndarray, "step neuron"]:
        """Return the same of the real-valued network."""
        return _step_means(self.wanted_sent[source])

    def largest_states(self, name: str) -> dict[State, Float[np.ndarray, " neuron"]]:
        """Return the largest membrane and currents of each neuron in the real-valued run."""
        found = {}
        for state in (State.MEMBRANE, *CURRENTS):
            values = self.wanted[name].state(state)
            if values is not None:
                found[state] = np.abs(values).max(axis=(0, 1)).ravel().astype(np.float64)
        return found

    def largest_sum(self, name: str) -> Float[np.ndarray, " neuron"] | None:
        """Return the largest sum that arrives at a state of each neuron in one step of that run.

        None: the target has no register of it.
        """
        if self.rules.accumulator is None:
            return None
        population, history = self.network.population(name), History.of(self.network)
        sources = {p.source: self._wanted_payload(p.source) for p in self.network.into(name)}
        largest = np.zeros(population.size)
        for step in range(self.wanted.steps):
            for source, values in sources.items():
                history.send(source, step, values[:, step])
            for sums in arrivals_at(self.network, population, history, step).values():
                largest = np.maximum(largest, np.abs(sums).max(axis=0).ravel())
        return largest

    def _wanted_payload(self, source: str) -> Num[np.ndarray, "sample step ..."]:
        """Return what a source sends in the real-valued network, real units."""
        if source in self.given:
            return self.given[source]
        payload = self.wanted[source].payload
        assert payload is not None
        return payload

    def moment(self, projection: real.Projection, population: real.Population) -> Moment | None:
        """Return the second moment of what arrives at a row of `projection`."""
        decays = memory_decays(population)
        return second_moment(projection.map, self.sent[projection.source], decays)

    def best(self, tried: Sequence[Rounded]) -> tuple[Rounded, float | None]:
        """Return the layer that comes nearest to the real-valued one, and its agreement.

        Fewest differing payloads, then the smallest error of the membrane. Later layers will be
        fed by its spikes. A layer that sends nothing has no agreement. What it does on the data
        that should make a user stop is among its findings.
        """
        runs = [(self._run(layer), layer) for layer in tried]
        scores = [self._score(trace, layer) for trace, layer in runs]
        first = min(range(len(runs)), key=lambda n: scores[n])
        trace, layer = runs[first]
        name = layer.population.name
        assert trace.payload is not None
        assert trace.membrane is not None
        self._sends(layer, trace.payload)
        silent = not layer.population.fires.spiking
        warned = replace(
            layer,
            findings=(
                *layer.findings,
                *activity_findings(layer.population, self.wanted_sent[name], self.sent[name]),
                *state_findings(layer.population, trace.membrane, self.highest),
            ),
        )
        return warned, None if silent else 1 - scores[first][0]

    def _sends(self, layer: Rounded, payload: np.ndarray) -> None:
        """Keep what a rounded layer sends; of a graded one, in units of its payload."""
        name, shift = layer.population.name, layer.population.payload_shift
        if layer.population.fires is Fires.GRADED:
            payload = np.floor(payload / 2.0**shift + 0.5)
            unit = 2.0**shift / float(layer.scale)
            self.wanted_sent[name] = self.wanted_sent[name] / unit
        self.sent[name] = payload

    def relative_error(self, layer: Rounded) -> float:
        """Return the power of the error of a layer's membranes over that of the membranes."""
        got, wanted = self._run(layer).membrane, self.wanted[layer.population.name].membrane
        assert got is not None
        assert wanted is not None
        power = float(np.mean(np.square(wanted)))
        return float(np.mean(np.square(got / layer.scale - wanted))) / (power or 1.0)

    def _score(self, trace: PopulationTrace, layer: Rounded) -> tuple[float, float]:
        wanted = self.wanted[trace.name]
        assert trace.payload is not None
        assert trace.membrane is not None
        assert wanted.payload is not None
        assert wanted.membrane is not None
        graded = layer.population.fires is Fires.GRADED  # a membrane is never quite equal
        differs = 0.0 if graded else float(np.mean(trace.payload != wanted.payload))
        error = trace.membrane / layer.scale - wanted.membrane
        return differs, float(np.sqrt(np.mean(np.square(error))))

    def _run(self, layer: Rounded) -> PopulationTrace:
        """Return the run of one rounded layer, in state units."""
        name = layer.population.name
        sources = sorted({p.source for p in layer.projections} - {name})
        inputs = [Values(name=s, values=self.sent[s]) for s in sources]
        if not inputs:
            shape = next(iter(self.sent.values())).shape[:2]
            inputs = [Values(name="nothing", values=np.zeros((*shape, 1)))]
        network = Network(
            name=name,
            inputs=tuple(real.Input(name=v.name, shape=v.values.shape[2:]) for v in inputs),
            populations=(as_real(layer.population, self.rules),),
            projections=tuple(
                real.Projection(
                    name=p.name,
                    source=p.source,
                    target=name,
                    map=p.map.with_numbers(p.map.numbers() * float(1 << p.shift)),
                    delay=p.delay,
                    into=p.into,
                )
                for p in layer.projections
            ),
            outputs=(real.Output(name="output", population=name, decode=Decode.MEMBRANE_END),),
        )
        record = Recording(states=frozenset({State.PAYLOAD, State.MEMBRANE}))
        return simulate(network, inputs, record)[name]


def _step_means(payload: Float[np.ndarray, "sample step ..."]) -> Float[np.ndarray, "step neuron"]:
    return payload.mean(axis=0).reshape(payload.shape[1], -1)


def as_real(population: whole.Population, rules: Arithmetic) -> real.Population:
    """Return an integer population as a real-valued one whose numbers are state units."""

    def number(parameter: np.ndarray) -> np.ndarray:
        return np.asarray(parameter.astype(np.float64))

    current, reset, floor = population.current, population.reset, population.floor
    decays_first = real.Population(
        name=population.name,
        shape=population.shape,
        decay=rules.factors(population.decay),
        synapse=None if current is None else real_current(current, rules),
        fires=population.fires,
        threshold=number(population.threshold),
        compare=population.compare,
        max_spikes=population.max_spikes,
        reset=real.Reset(kind=reset.kind, amount=number(reset.amount), when=reset.when),
        floor=None if floor is None else real.Floor(value=number(floor.value), when=floor.when),
        biases=tuple(
            real.Bias(value=number(b.value), into=b.into, start=b.start, waits=b.waits)
            for b in population.biases
        ),
        initial=number(population.initial),
        **real_extras(population, rules),
    )
    return entering(decays_first, [rules.staying(i.decay) for i in population.currents])
