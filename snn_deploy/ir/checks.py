"""What must be true of every network and program when it is made; each failure is an error."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, GraphError, NotFiniteError, ShapeError
from snn_deploy.ir.arrays import WHOLE, fits, frozen
from snn_deploy.ir.graph import Edge, Graph, step_order
from snn_deploy.ir.maps import Composition, LinearMap
from snn_deploy.ir.neuron import Decode, Fires, State

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
        if not fits(array, population.shape):
            raise ShapeError(
                f"a parameter of shape {array.shape} does not broadcast to {population.shape}",
                where=where,
            )
        if not np.all(np.isfinite(array)):
            raise NotFiniteError("a neuron parameter is not a finite number", where=where)
        object.__setattr__(holder, name, array)


def check_neurons(population: Any, *, current: bool) -> None:
    """Check what a population sends, and that its biases enter a state that it has.

    Args:
        population: Of a network or of a program.
        current: Whether it has a synaptic current.

    Raises:
        DynamicsError: a number of spikes or a first step that cannot be, a threshold that no
            neuron can count by, or a bias into no state.
    """
    name = population.name
    if not 1 <= population.max_spikes <= LARGEST:
        raise DynamicsError(
            f"a neuron sends at most 1 to {LARGEST} spikes a step",
            where=f"{name}.max_spikes",
        )
    threshold = population.threshold
    if population.fires is Fires.COUNT and np.any(threshold <= 0):
        raise DynamicsError(
            f"a threshold of {threshold.min():g}, but a neuron that sends several spikes a step "
            "needs a positive one",
            where=f"{name}.threshold",
            fix="use a positive threshold, or neurons that send one spike a step",
        )
    for index, bias in enumerate(population.biases):
        where = f"{name}.biases[{index}]"
        if bias.into is State.PAYLOAD:
            raise DynamicsError("a bias enters the current or the membrane", where=where)
        if bias.into is State.CURRENT and not current:
            raise DynamicsError("a bias enters a current that is not there", where=where)
        if not 0 <= bias.start <= LARGEST:
            raise DynamicsError(f"the first step of a bias is 0 to {LARGEST}", where=where)


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
    if silent and output.decode in (Decode.COUNT, Decode.FIRST_SPIKE):
        raise GraphError(
            f"an output reads the spikes of {output.population}, which never fires: "
            f"{output.decode.value}",
            where=output.name,
            fix="read its membrane: --decode membrane-end, membrane-mean or membrane-max",
        )


def _check_edge(edge: Any, nodes: dict[str, Any], populations: set[str]) -> None:
    _check_endpoints(edge, nodes, populations)
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


def _check_endpoints(edge: Edge, nodes: dict[str, Any], populations: set[str]) -> None:
    if edge.source not in nodes:
        raise GraphError(f"an edge starts from {edge.source!r}: no such node", where=edge.name)
    if edge.target not in populations:
        raise GraphError(f"an edge ends in {edge.target!r}: no such population", where=edge.name)
