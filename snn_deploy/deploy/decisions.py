"""The rules of a network as trained, and who said each of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from snn_deploy.deploy.report.model import Decision
from snn_deploy.deploy.table import aligned
from snn_deploy.frontends import Imported
from snn_deploy.frontends.dynamics import Choice, Dynamics
from snn_deploy.frontends.nir import CellOrigins
from snn_deploy.ir.network import Population, Reset
from snn_deploy.ir.neuron import Fires, ResetKind, When


def decisions_text(found: Imported) -> str:
    """Return a table of what the neurons compute, and who said so."""
    rows = [("neurons", "rule", "value", "said by")]
    rows += [(d.neurons, d.rule, d.value, d.said_by) for d in decisions_of(found)]
    return "who decided\n" + "\n".join(f"  {line}" for line in aligned(rows).splitlines())


def decisions_of(found: Imported) -> tuple[Decision, ...]:
    """Return what the neurons compute, rule by rule, and who said so."""
    return tuple(
        Decision(neurons=neurons, rule=rule, value=value, said_by=who)
        for neurons, rule, value, who in _rows(found)
    )


def _rows(found: Imported) -> Iterator[tuple[str, str, str, str]]:
    annotation = found.annotation
    step = f"{annotation.dt.value:g} {annotation.unit.value.value}"
    yield "(all)", "step", step, _who(annotation.dt)
    yield "(all)", "numbers", annotation.arithmetic.value.value, _who(annotation.arithmetic)
    for name, population in annotation.cells.items():
        origins = annotation.cell_origins.get(name, CellOrigins())
        yield from ((name, *row) for row in _cell(population, origins))
    for name, dynamics in annotation.neurons.items():
        yield from ((name, *row) for row in _dynamics(dynamics))
    for name, decode in annotation.outputs.items():
        yield name, "answer", decode.value.value, _who(decode)


def _who(choice: Choice[Any]) -> str:
    return choice.origin.value


def _kind(population: Population) -> str:
    """Return what neurons are, in two words: with or without a current, and what they send."""
    synapse = "membrane only" if population.synapse is None else "current and membrane"
    return f"{synapse}, {population.fires.value}"


def _cell(population: Population, origins: CellOrigins) -> Iterator[tuple[str, str, str]]:
    yield "every number", _kind(population), origins.numbers.value
    if population.fires not in (Fires.BINARY, Fires.COUNT):
        return
    reset, floor = population.reset, population.floor
    yield "reset", _reset(reset), origins.reset.value
    yield "compare", population.compare.value, origins.compare.value
    yield "floor", "none" if floor is None else _number(floor.value), origins.floor.value


def _reset(reset: Reset) -> str:
    """Return what a spike does to the membrane, and when."""
    if reset.kind is ResetKind.NONE:
        return reset.kind.value
    when = {When.NOW: "", When.NEXT: ", late", When.RETESTED: ", tested again"}[reset.when]
    return f"{reset.kind.value} {_number(reset.amount)}{when}"


def _number(values: np.ndarray) -> str:
    """Return a parameter in a word: one number, or the range of several."""
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g}..{high:g}"


def _dynamics(dynamics: Dynamics) -> Iterator[tuple[str, str, str]]:
    yield "integration", dynamics.integration.value.value, _who(dynamics.integration)
    yield "gain", dynamics.membrane_gain.value.value, _who(dynamics.membrane_gain)
    firing = dynamics.firing
    if firing is None:
        return
    yield "reset", firing.reset.value.value, _who(firing.reset)
    yield "compare", firing.compare.value.value, _who(firing.compare)
    yield (
        "fires",
        f"{firing.fires.value.value}, up to {firing.max_spikes.value}",
        _who(firing.fires),
    )
    floor = firing.floor.value
    yield "floor", "none" if floor is None else f"{floor:g}", _who(firing.floor)
