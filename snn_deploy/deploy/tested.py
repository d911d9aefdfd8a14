"""Membranes as they are compared with the threshold: before a spike resets them.

A run up to a step in which no neuron reaches its threshold ends with just these.
"""

from dataclasses import replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.alone import Payloads, run_real, run_whole
from snn_deploy.ir.arrays import per_neuron
from snn_deploy.ir.network import Network
from snn_deploy.ir.network import Population as RealPopulation
from snn_deploy.ir.neuron import Tabled
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.timing import Table

OUT_OF_REACH = 1e30
"""A threshold that no membrane reaches."""

Neurons = TypeVar("Neurons", Population, RealPopulation)


def threshold_at(population: RealPopulation, step: int) -> Float[np.ndarray, "..."]:
    """Return the threshold of every neuron in a step."""
    row = _row(population, Tabled.THRESHOLD, step)
    return per_neuron(population.threshold if row is None else row, population.shape)


def tested_real(network: Network, name: str, sent: Payloads) -> Float[np.ndarray, "..."]:
    """Return the membranes of a real-valued population in the last step of `sent`, of one row.

    Args:
        network: Where it stands.
        name: The population.
        sent: What every source sends up to that step.
    """
    steps = next(iter(sent.values())).shape[1]
    quiet = _silenced(network.population(name), steps, OUT_OF_REACH)
    others = tuple(quiet if p.name == name else p for p in network.populations)
    membrane = run_real(replace(network, populations=others), name, sent).membrane
    assert membrane is not None
    return membrane[0, -1]


def tested_whole(program: Program, name: str, sent: Payloads) -> Int[np.ndarray, "..."]:
    """Return the membranes of an integer population in the last step of `sent`, of one row."""
    steps = next(iter(sent.values())).shape[1]
    made = program.population(name)
    far = np.iinfo(np.int32).max
    quiet = _silenced(made, steps, far, first=made.lag, period=program.period)
    others = tuple(quiet if p.name == name else p for p in program.populations)
    part = replace(program, populations=others)
    membrane = run_whole(part, name, sent, ReferenceBackend()).membrane
    assert membrane is not None
    return membrane[0, -1]


def _silenced(
    population: Neurons, steps: int, far: float, first: int = 0, period: int = 1
) -> Neurons:
    """Return a population that cannot fire in the last of some steps.

    Args:
        population: The neurons.
        steps: Of the run, in which it acts.
        far: A threshold that no membrane reaches.
        first: The first step in which it acts.
        period: From one of these steps to the next.
    """
    tables = [t for t in population.tables if t.what not in (Tabled.THRESHOLD, Tabled.LOWER)]
    for what, plain, last in (
        (Tabled.THRESHOLD, population.threshold, far),
        (Tabled.LOWER, population.lower, -far),
    ):
        rows = [_row(population, what, first + n * period, period) for n in range(steps - 1)]
        shaped = [per_neuron(plain if r is None else r, population.shape) for r in rows]
        shaped.append(np.full(population.shape, last, population.threshold.dtype))
        tables.append(Table(what=what, rows=np.stack(shaped), start=first))
    return replace(population, tables=tuple(tables))


def _row(population: Neurons, what: Tabled, step: int, period: int = 1) -> np.ndarray | None:
    """Return the row that replaces a parameter in a step; None: nothing does."""
    found = (t.at(step, period) for t in population.tables if t.what is what)
    return next(found, None)
