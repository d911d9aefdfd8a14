"""What must be true of every network and program when it is made; each failure is an error."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, GraphError, NotFiniteError, ShapeError
from snn_deploy.ir.arrays import WHOLE, fits, frozen
from snn_deploy.ir.graph import Edge, Graph, step_order
from snn_deploy.ir.maps import Composition, LinearMap
from snn_deploy.ir.neuron import (
    CURRENTS,
    During,
    Fires,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.timing import Table

LARGEST = 2**31 - 1
"""Of a payload and of a number of steps."""


def parameters(owner: Any, prefix: str = "") -> Iterator[tuple[Any, str, str]]:
    """Yield (holder, field, path) for each array of a population and the records inside it."""
    for entry in fields(owner):
        value = getattr(owner, entry.name)
        path = f"{prefix}{entry.name}"
        if isinstance(
            value, np.ndarray | np.generic
        ):  # arithmetic with 0-d arrays gives the latter
            yield owner, entry.name, path
        elif is_dataclass(value):
            yield from parameters(value, f"{path}.")
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if is_dataclass(item):
                    yield from parameters(item, f"{path}[{index}].")


def check_parameters(population: Any, dtype: np.dtype[Any]) -> None:
    """Make every parameter array of a population read-only, finite and of a fitting shape.

    Raises:
        ShapeError: a parameter does not broadcast to the population's shape.
        NotFiniteError: a parameter is NaN or infinite.
    """
    for holder, name, path in parameters(population):
        array = frozen(getattr(holder, name), dtype)
        where = f"{population.name}.{path}"
        if isinstance(holder, Table) and not (array.ndim and len(array)):
            raise ShapeError("a table has no rows", where=where)
        if not fits(array[0, ...] if isinstance(holder, Table) else array, population.shape):
            raise ShapeError(
                f"a parameter of shape {array.shape} does not broadcast to {population.shape}",
                where=where,
            )
        if not np.all(np.isfinite(array)):
            raise NotFiniteError("a neuron parameter is not a finite number", where=where)
        object.__setattr__(holder, name, array)


def states_of(population: Any) -> frozenset[State]:
    """Return the states that the canonical neurons of a network or program have."""
    states = {State.MEMBRANE, State.PAYLOAD, *currents_of(population)}
    if population.refractory is not None:
        states.add(State.COUNTDOWN)
    if any(bias.waits for bias in population.biases):
        states.add(State.STARTED)
    return frozenset(states)


def currents_of(population: Any) -> tuple[State, ...]:
    """Return the names of a population's synaptic currents."""
    first = population.current if hasattr(population, "current") else population.synapse
    return CURRENTS[: 0 if first is None else 1 + len(population.further)]


def entries(population: Any) -> frozenset[State]:
    """Return the states that projections, biases and gains may act on."""
    return frozenset({State.MEMBRANE, *currents_of(population)})


def spike_range(population: Any) -> tuple[int, int]:
    """Return the smallest and largest number of spikes of a step; of a graded neuron, none."""
    most = population.max_spikes
    return {
        Fires.NEVER: (0, 0),
        Fires.GRADED: (0, 0),
        Fires.BINARY: (0, 1),
        Fires.COUNT: (0, most),
        Fires.ROUNDED: (0, most),
        Fires.TERNARY: (-1, 1),
    }[population.fires]


def check_neurons(population: Any, currents: Sequence[Any]) -> None:
    """Check that what a population states of its neurons goes together.

    Args:
        population: Of a network or of a program.
        currents: Its synaptic currents.

    Raises:
        DynamicsError: a number of spikes or a first step that cannot be, a threshold that no
            neuron can count by, a bias or a table of no state, or features that exclude each other.
    """
    name = population.name
    _check_firing(population)
    _check_currents(population, currents)
    for index, bias in enumerate(population.biases):
        where = f"{name}.biases[{index}]"
        if bias.into not in (State.MEMBRANE, *CURRENTS):
            raise DynamicsError("a bias enters the current or the membrane", where=where)
        if bias.into not in entries(population):
            raise DynamicsError("a bias enters a current that is not there", where=where)
        if not 0 <= bias.start <= LARGEST:
            raise DynamicsError(f"the first step of a bias is 0 to {LARGEST}", where=where)
    for index, table in enumerate(population.tables):
        _check_table(population, table, f"{name}.tables[{index}]")
    _check_times(population)


def _check_firing(population: Any) -> None:
    name, threshold = population.name, population.threshold
    if not 1 <= population.max_spikes <= LARGEST:
        raise DynamicsError(
            f"a neuron sends at most 1 to {LARGEST} spikes a step",
            where=f"{name}.max_spikes",
        )
    rows = [t.rows for t in population.tables if t.what is Tabled.THRESHOLD]
    if population.fires in (Fires.COUNT, Fires.ROUNDED):
        lowest = min([threshold.min(), *(r.min() for r in rows)])
        if lowest <= 0:
            raise DynamicsError(
                f"a threshold of {lowest:g}, but a neuron that sends several spikes a step "
                "needs a positive one",
                where=f"{name}.threshold",
                fix="use a positive threshold, or neurons that send one spike a step",
            )
    if population.fires is Fires.TERNARY and np.any(population.lower > threshold):
        raise DynamicsError("the lower threshold lies above the upper one", where=f"{name}.lower")


def _check_currents(population: Any, currents: Sequence[Any]) -> None:
    name = population.name
    if population.further and not currents:
        raise DynamicsError("further currents, but no first one", where=name)
    if len(currents) > len(CURRENTS):
        raise DynamicsError(
            f"{len(currents)} synaptic currents; a neuron has at most {len(CURRENTS)}", where=name
        )
    for number, current in enumerate(currents):
        if current.into_membrane not in (-1, 0, 1):
            raise DynamicsError(
                f"a current enters the membrane {current.into_membrane} times; it is -1, 0 or 1",
                where=name,
            )
        if current.chain is not None and not number:
            raise DynamicsError("the first current has none before it to be chained to", where=name)


def _check_table(population: Any, table: Table, where: str) -> None:
    acts = table.what in (Tabled.GAIN, Tabled.BIAS)
    if acts and table.into not in entries(population):
        raise DynamicsError(f"a table of a {table.what.value} of no state", where=where)
    if not acts and table.into is not None:
        raise DynamicsError(f"a table of the {table.what.value} acts on no state", where=where)
    if not 0 <= table.start <= LARGEST:
        raise DynamicsError(f"the first step of a table is 0 to {LARGEST}", where=where)
    same = [t for t in population.tables if (t.what, t.into) == (table.what, table.into)]
    if len(same) > 1:
        raise DynamicsError(f"two tables of one {table.what.value}", where=where)


def _check_times(population: Any) -> None:
    name, refractory, window = population.name, population.refractory, population.window
    restart, reset = population.restart, population.reset
    if refractory is not None:
        if refractory.steps is not None and not 1 <= refractory.steps <= LARGEST:
            raise DynamicsError(f"a refractory period is 1 to {LARGEST} steps", where=name)
        if refractory.during is During.CLAMPED and reset.kind is not ResetKind.VALUE:
            raise DynamicsError("a membrane is clamped to the value it is reset to", where=name)
    if window is not None and not 0 <= window.first <= window.behind <= LARGEST:
        raise DynamicsError(f"a window from step {window.first} to {window.behind}", where=name)
    if restart is not None and not 0 <= restart.offset < restart.interval <= LARGEST:
        raise DynamicsError(
            f"a restart in steps {restart.offset} of {restart.interval}", where=name
        )
    retested = reset.when is When.RETESTED
    if retested and (population.fires, reset.kind) != (Fires.BINARY, ResetKind.SUBTRACT):
        raise DynamicsError(
            "only a binary neuron whose spike subtracts can be tested again", where=name
        )


def check_projection(projection: Any) -> None:
    """Make the delay read-only and check its shape and sign.

    Raises:
        ShapeError: the delay is neither scalar, nor per source, nor per stored weight.
        GraphError: a delay is negative.
    """
    delay = frozen(projection.delay, WHOLE)
    linear = projection.map
    allowed = [(), (linear.in_size,)]
    if not isinstance(linear, Composition):
        allowed.append(linear.numbers().shape)
    if delay.shape not in allowed:
        raise ShapeError(
            f"delays of shape {delay.shape}; allowed are {', '.join(map(str, allowed))}",
            where=projection.name,
        )
    if delay.size and delay.min() < 0:
        raise GraphError(f"a delay of {delay.min()} steps is negative", where=projection.name)
    object.__setattr__(projection, "delay", delay)


def check_finite(linear: LinearMap, where: str) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        NotFiniteError: with the index of the first one.
    """
    for stage in linear.stages if isinstance(linear, Composition) else (linear,):
        wrong = np.argwhere(~np.isfinite(stage.numbers()))
        if len(wrong):
            first = [int(i) for i in wrong[0]]
            raise NotFiniteError(
                f"{len(wrong)} of {stage.numbers().size} weights are not finite numbers",
                where=f"{where}.weight{first}, first of {len(wrong)}",
                fix="train again, or repair the file: no chip stores NaN",
            )


def check_graph(graph: Graph) -> None:
    """Check names, endpoints, sizes and that a step can be computed.

    Raises:
        GraphError: a name is used twice, an endpoint does not exist, nothing enters or leaves,
            a loop has no delay, or an output reads what its population does not have.
        ShapeError: a map does not fit the populations it joins.
    """
    nodes = {node.name: node for node in (*graph.inputs, *graph.populations)}
    if len(nodes) != len(graph.inputs) + len(graph.populations):
        raise GraphError("two inputs or populations have the same name")
    for group in (graph.projections, graph.outputs):
        names = [item.name for item in group]
        if len(set(names)) != len(names):
            raise GraphError("two projections or two outputs have the same name")
    populations: dict[str, Any] = {p.name: p for p in graph.populations}
    for edge in graph.projections:
        _check_edge(edge, nodes, set(populations))
    for output in graph.outputs:
        _check_output(output, populations)
    if not graph.outputs:
        raise GraphError("nothing leaves the network: it has no output")
    step_order(graph)


def _check_output(output: Any, populations: dict[str, Any]) -> None:
    if output.population not in populations:
        raise GraphError(
            f"an output reads {output.population!r}, which does not exist", where=output.name
        )
    if not 0 <= output.delay <= LARGEST:
        raise GraphError(f"the delay of an output is 0 to {LARGEST} steps", where=output.name)
    silent = populations[output.population].fires is Fires.NEVER
    if output.decode.weighted is not (output.weights is not None):
        has = "needs a weight for each step" if output.decode.weighted else "has no weights"
        raise GraphError(
            f"{output.decode.value} {has}",
            where=output.name,
            fix="graph.decodes and graph.weights state both; in an architecture file decode and "
            "decode_weights",
        )
    if silent and output.decode.spiking:
        raise GraphError(
            f"an output reads the spikes of {output.population}, which never fires: "
            f"{output.decode.value}",
            where=output.name,
            fix="read its membrane: --decode membrane-end, membrane-mean or membrane-max",
        )


def _check_edge(edge: Any, nodes: dict[str, Any], populations: set[str]) -> None:
    _check_endpoints(edge, nodes, populations)
    if edge.into is not None and edge.into not in _doors(nodes[edge.target]):
        raise GraphError(
            f"a projection drives the state {edge.into.value!r}, which {edge.target} does not have",
            where=edge.name,
        )
    for name, size, verb in (
        (edge.source, edge.map.in_size, "reads"),
        (edge.target, edge.map.out_size, "gives"),
    ):
        if nodes[name].size != size:
            raise ShapeError(
                f"a map {verb} {size} values, but {name} has "
                f"{nodes[name].size} ({nodes[name].shape})",
                where=edge.name,
            )


def _doors(population: Any) -> frozenset[State]:
    kind = getattr(population, "kind", None)
    return entries(population) if kind is None else kind.entries


def _check_endpoints(edge: Edge, nodes: dict[str, Any], populations: set[str]) -> None:
    if edge.source not in nodes:
        raise GraphError(f"an edge starts from {edge.source!r}: no such node", where=edge.name)
    if edge.target not in populations:
        raise GraphError(f"an edge ends in {edge.target!r}: no such population", where=edge.name)
