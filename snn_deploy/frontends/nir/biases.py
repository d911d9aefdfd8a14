"""Biases of linear nodes as what neurons add: times the gains where they enter, over time too."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from snn_deploy.errors import DynamicsError
from snn_deploy.frontends.nir.neurons import compact
from snn_deploy.ir.network import Bias, Population
from snn_deploy.ir.neuron import CURRENTS, State, Tabled
from snn_deploy.ir.timing import Table

Values = Float[np.ndarray, "..."]


def with_biases(neurons: Population, added: Iterable[Bias]) -> Population:
    """Return the population with what else arrives in every step, times the gain where it enters.

    Biases of one state and start become one; one that meets a gain which changes in time becomes
    a table.

    Raises:
        DynamicsError: no table says what arrives.
    """
    gains = {State.MEMBRANE: neurons.gain}
    gains |= {state: s.gain for state, s in zip(CURRENTS, neurons.synapses, strict=False)}
    changing = {t.into: t for t in neurons.tables if t.what is Tabled.GAIN}
    sums: dict[tuple[State, int, bool], Values] = {}
    tables = list(neurons.tables)

    def add(value: Values, into: State, start: int, waits: bool = False) -> None:
        key = into, start, waits
        sums[key] = sums.get(key, np.zeros(())) + value

    for bias in neurons.biases:
        add(np.asarray(bias.value), bias.into, bias.start, bias.waits)
    for bias in added:
        value = gains[bias.into] * bias.value
        gain = changing.get(bias.into)
        if gain is None or not np.any(value):
            add(value, bias.into, bias.start)
            continue
        tables = _added(tables, _tabled(value, bias.start, gain, neurons.name), neurons.name)
        if not gain.repeats:
            add(value, bias.into, max(bias.start, gain.start + len(gain.rows)))
    biases = tuple(
        Bias(
            value=compact(np.asarray(sums[key]), neurons.shape),
            into=key[0],
            start=key[1],
            waits=key[2],
        )
        for key in sorted(sums, key=lambda key: (key[1], key[0].value, key[2]))
        if np.any(sums[key])
    )
    return replace(neurons, biases=biases, tables=tuple(tables))


def _tabled(value: Values, start: int, gain: Table, name: str) -> Table | None:
    """Return what arrives from `start` on, as long as the gain's table acts; None: no longer."""
    behind = gain.start + len(gain.rows)
    if gain.repeats and start < gain.start:
        raise DynamicsError(
            f"a bias arrives from step {start} on, but its gain repeats from step {gain.start} on",
            where=name,
            fix="leave the bias out of the layer, and state it as a table of the neurons",
        )
    if start >= behind and not gain.repeats:
        return None
    steps = range(start, start + len(gain.rows) if gain.repeats else behind)
    one = np.ones(())
    rows = [value * (one if (row := gain.at(step)) is None else row) for step in steps]
    return Table(
        what=Tabled.BIAS,
        rows=np.stack(np.broadcast_arrays(*rows)),
        into=gain.into,
        start=start,
        repeats=gain.repeats,
    )


def _added(tables: Sequence[Table], more: Table | None, name: str) -> list[Table]:
    """Return the tables with one more of biases; those of one state become one.

    Raises:
        DynamicsError: one repeats, and the other does not begin with it.
    """
    if more is None:
        return list(tables)
    same = [t for t in tables if (t.what, t.into) == (more.what, more.into)]
    if not same:
        return [*tables, more]
    (other,) = same
    if more.repeats != other.repeats or (more.repeats and more.start != other.start):
        raise DynamicsError(
            "a bias times a gain that changes is another table than that of the biases",
            where=name,
            fix="leave the bias out of the layer, and add it to the table of the neurons",
        )
    first = min(more.start, other.start)
    behind = max(each.start + len(each.rows) for each in (more, other))
    if more.repeats:
        behind = first + math.lcm(len(more.rows), len(other.rows))
    none = np.zeros(())
    rows = [
        sum((none if (row := t.at(step)) is None else row for t in (other, more)), none)
        for step in range(first, behind)
    ]
    made = replace(other, rows=np.stack(np.broadcast_arrays(*rows)), start=first)
    return [made if each is other else each for each in tables]
