"""The way of one population to whole numbers: its candidates, and the best of them on data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.network import Between, Network, Population, Projection
from snn_deploy.ir.neuron import Fires
from snn_deploy.quantize.channels import channel_choice
from snn_deploy.quantize.correction import corrected, missing_current
from snn_deploy.quantize.drive import USUAL_RATE, Activity, drive_of
from snn_deploy.quantize.estimate import Choice
from snn_deploy.quantize.extras import payloads_of
from snn_deploy.quantize.feedback import Feedback
from snn_deploy.quantize.guards import leave_finding
from snn_deploy.quantize.lag import chip_period, must_lower
from snn_deploy.quantize.limits import Limits
from snn_deploy.quantize.moments import Moment
from snn_deploy.quantize.options import Method, Objective, Options, Rounding
from snn_deploy.quantize.rounded import Rounded, Wire, round_population
from snn_deploy.quantize.scale import choices
from snn_deploy.quantize.task import Task
from snn_deploy.quantize.trial import Trials
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Everything that the populations of one network have in common on their way."""

    network: Network
    target: Target
    encoding: Encoding
    options: Options
    method: Method
    lag: Mapping[str, int]
    """Of each population on the chip [steps]."""

    trials: Trials | None
    """None: no calibration data."""

    units: dict[str, float] = field(default_factory=dict)
    """Real value of a payload of 1 of each graded population that is done."""

    def candidates(self, name: str) -> list[Rounded]:
        """Return the population `name` in whole numbers, in all ways that are worth a trial."""
        moments = self._moments(name)
        population = self.network.population(name)
        task = self._task(population, moments)
        wires = self._wires(name, moments)
        chosen = choices(task, 1 if self.trials is None else self.options.trials)
        if self.method.per_channel and population.fires is not Fires.GRADED:
            chosen = self._channels(task, chosen)
        return [self._rounded(task, wires, choice) for choice in chosen]

    def _channels(self, task: Task, chosen: Sequence[Choice]) -> list[Choice]:
        """Return a choice by channel for each set of exponents among `chosen`."""
        each = replace(task, objective=self.method.objective)
        most = self._most_scales(task.population)
        by_exponents = {tuple(c.exponents.items()): c for c in reversed(chosen)}
        return [channel_choice(each, c, most) for c in reversed(by_exponents.values())]

    def _most_scales(self, population: Population) -> int:
        """Return how many scales the target allows: each gives a set of parameters of its own."""
        if population.fires is Fires.NEVER:  # nothing that differs by group holds the scale
            return population.size
        parameters = [population.decay, population.threshold, population.reset.amount]
        parameters += [synapse.decay for synapse in population.synapses]
        if population.fires is Fires.TERNARY:
            parameters.append(population.lower)
        return self.target.parameter_groups.value // _distinct_rows(parameters, population.shape)

    def _rounded(self, task: Task, wires: Sequence[Wire], choice: Choice) -> Rounded:
        made = self._told(task, round_population(task, wires, choice))
        most = self.target.weights.bits.value
        fewest = min((most if w.bits is None else w.bits for w in wires), default=most)
        if self.trials is None or fewest > self.method.corrected_bits:
            return made
        missing = missing_current(
            task.population, wires, made, self.trials.wanted_mean, self.trials.sent_mean
        )
        population = corrected(task.population, missing)
        lowered = self._lowered(population)
        task = replace(task, population=population, lowered=lowered)
        return self._told(task, round_population(task, wires, choice))

    def _told(self, task: Task, made: Rounded) -> Rounded:
        """Return `made` with a finding where it uses leave to overflow."""
        if not task.allow_overflow:
            return made
        shape = task.population.shape
        scale = np.broadcast_to(made.scale, shape).ravel()
        told = leave_finding(task.population.name, scale, Limits.of(task).provable)
        return made if told is None else replace(made, findings=(*made.findings, told))

    def _task(self, population: Population, moments: Mapping[str, Moment | None]) -> Task:
        method, options, name = self.method, self.options, population.name
        whole_layer = method.objective
        if method.per_channel and whole_layer is Objective.ACTIVITY:
            whole_layer = Objective.MEMBRANE  # only the exponents are taken from it
        return Task(
            population=population,
            drives=tuple(
                drive_of(
                    p,
                    unit=self.unit(p.source),
                    payload=self.payloads(p.source),
                    activity=self._activity(p.source),
                    target=self.target,
                    bits=options.bits_of(p.name, name),
                    moment=moments[p.name],
                    every_row=method.per_channel,
                )
                for p in self.network.into(name)
            ),
            lowered=self._lowered(population),
            target=self.target,
            objective=whole_layer,
            percentile=options.percentile,
            sigmas=options.sigmas,
            prove=options.prove,
            allow_overflow=options.allow_overflow,
            steps=self._steps(),
            seen=None if self.trials is None else self.trials.largest_states(name),
            seen_sum=None if self.trials is None else self.trials.largest_sum(name),
        )

    def _steps(self) -> int | None:
        fresh = self.network.boundary.between is Between.FRESH
        return self.encoding.steps if fresh else None

    def _lowered(self, population: Population) -> tuple[bool, ...]:
        lag, target = self.lag[population.name], self.target
        period = chip_period(self.network, target, self.options.dilation)
        return tuple(must_lower(population, b, lag, target, period) for b in population.biases)

    def _wires(self, name: str, moments: Mapping[str, Moment | None]) -> list[Wire]:
        return [
            Wire(
                projection=p,
                unit=self.unit(p.source),
                bits=self.options.bits_of(p.name, name),
                feedback=self._feedback(moments[p.name]),
            )
            for p in self.network.into(name)
        ]

    def _feedback(self, moment: Moment | None) -> tuple[Feedback, ...] | None:
        if moment is None or self.method.rounding is not Rounding.GPTQ:
            return None
        return Feedback.of(moment)

    def _moments(self, name: str) -> dict[str, Moment | None]:
        """Return the second moments that the method needs, by projection."""
        method, population = self.method, self.network.population(name)
        needed = method.objective is Objective.ACTIVITY or method.rounding is Rounding.GPTQ
        return {p.name: self._moment(p, population, needed) for p in self.network.into(name)}

    def _moment(self, p: Projection, population: Population, needed: bool) -> Moment | None:
        if self.trials is None or not needed:
            return None
        return self.trials.moment(p, population)

    def unit(self, source: str) -> float:
        """Return the real value of a payload of 1."""
        if any(i.name == source for i in self.network.inputs):
            return self.encoding.unit
        if self.network.population(source).fires is not Fires.GRADED:
            return 1.0
        if source not in self.units:
            raise UnsupportedError(
                "its membrane is read in a loop, before its own scale is known",
                where=source,
                fix="read the membrane where no way leads back to it",
            )
        return self.units[source]

    def keep(self, made: Rounded) -> None:
        """Remember in which unit a layer sends, for those behind it."""
        if made.population.fires is Fires.GRADED:
            unit = 2.0**made.population.payload_shift / float(made.scale)
            self.units[made.population.name] = unit

    def payloads(self, source: str) -> tuple[int, int]:
        """Return the smallest and the largest payload of an input or a population."""
        if any(i.name == source for i in self.network.inputs):
            return self.encoding.low, self.encoding.high
        return payloads_of(self.network.population(source), self.target)

    def _activity(self, source: str) -> Activity:
        if self.trials is not None:
            return self.trials.activity(source)
        size = int(np.prod(self.network.source_shape(source), dtype=np.int64))
        rate = np.full(size, USUAL_RATE)
        largest = 1.0  # even a neuron that counts mostly sends one
        if source not in {p.name for p in self.network.populations if p.fires is not Fires.GRADED}:
            largest = float(max(abs(end) for end in self.payloads(source)))
        return Activity(mean=rate * largest, power=rate * largest**2)


def _distinct_rows(parameters: Sequence[np.ndarray], shape: Shape) -> int:
    """Return how many different sets of parameters the neurons have."""
    rows = np.stack([per_neuron(p, shape).ravel() for p in parameters], axis=1)
    return len(np.unique(rows, axis=0))
