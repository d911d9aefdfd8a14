"""One population with everything that its scale must fit, and what follows from its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from snn_deploy.ir.network import Population
from snn_deploy.ir.neuron import Fires, State, Tabled
from snn_deploy.quantize.drive import Drive
from snn_deploy.quantize.moments import MEMORY
from snn_deploy.quantize.options import Objective
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One population with everything that its scale must fit."""

    population: Population
    drives: tuple[Drive, ...]
    lowered: tuple[bool, ...]
    """For each bias, whether a clock neuron will carry it."""

    target: Target
    objective: Objective = Objective.MEMBRANE
    percentile: float = 99.0
    """For Objective.PERCENTILE [%]."""

    sigmas: float = 2.0
    """For Objective.SIGMA [standard deviations]."""

    prove: bool = False
    allow_overflow: bool = False
    steps: int | None = None
    """Of a sample that starts fresh; None: any number."""

    seen: Mapping[State, Float[np.ndarray, " neuron"]] | None = None
    """Largest membrane and currents that the calibration data caused, by size, real units."""

    seen_sum: Float[np.ndarray, " neuron"] | None = None
    """Largest sum that arrived at a state in one step of that data, by size, real units; None also
    where the target has no register of it."""

    def neurons(self, parameter: np.ndarray) -> Float[np.ndarray, " neuron"]:
        """Return a parameter at full length."""
        return np.broadcast_to(parameter, self.population.shape).ravel()

    @property
    def largest_seen(self) -> Float[np.ndarray, " neuron"]:
        """Largest state seen, 0 without calibration data."""
        return np.maximum.reduce([np.zeros(self.population.size), *(self.seen or {}).values()])

    @property
    def fires(self) -> bool:
        """Whether the population sends anything."""
        return self.population.fires.spiking

    @property
    def levels(self) -> tuple[np.ndarray, ...]:
        """The membrane values that the registers must hold, besides the drive's."""
        population, levels = self.population, [self.population.initial]
        levels += [synapse.initial for synapse in population.synapses]
        for table in population.tables:
            if table.what in (Tabled.THRESHOLD, Tabled.LOWER, Tabled.BIAS):
                levels += [np.asarray(table.rows.max(axis=0)), np.asarray(table.rows.min(axis=0))]
        if population.fires is Fires.TERNARY:
            levels.append(population.lower)
        levels.append(population.reset.amount)  # stored also where nothing is reset
        if population.floor is not None:
            levels.append(population.floor.value)
        return tuple(levels)


def memory_of(task: Task, most: float = MEMORY) -> Float[np.ndarray, " neuron"]:
    """Return over how many steps a membrane adds up a constant drive."""
    population = task.population
    most = most if task.steps is None else min(most, task.steps)
    steps = geometric(task.neurons(population.decay), most)
    if population.synapse is not None:
        steps = steps * geometric(task.neurons(population.synapse.decay), most)
    return np.minimum(steps, most)


def geometric(decay: np.ndarray, most: float = MEMORY) -> Float[np.ndarray, "..."]:
    """Return 1 / (1 - decay), at most `most`: over how many steps a state adds up what comes."""
    with np.errstate(divide="ignore"):
        return np.minimum(1 / np.maximum(1 - np.abs(decay), 1e-12), most)
