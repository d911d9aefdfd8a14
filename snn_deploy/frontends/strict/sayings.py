"""What plain NIR says of a network, node by node, and the plain file of what it says exactly.

A plain file has none of our metadata: any tool that reads it as NIR is written, with the step that
it was made for, computes the same. `forms.py` says what is exact, `loops.py` how
loops are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import nir
import numpy as np

from snn_deploy.errors import DeployError, DynamicsError, GraphError, UnknownNodeError
from snn_deploy.frontends.dynamics import Overrides, Unit
from snn_deploy.frontends.nir import (
    KEY,
    NEURONS,
    Annotation,
    Dialect,
    Imported,
    checked_graph,
    decide,
    depth_first,
    import_graph,
    node_type,
    population_of,
    record_of,
    write_graph,
)
from snn_deploy.frontends.strict.forms import Form, Saying, plain_form
from snn_deploy.frontends.strict.loops import Wired, loops_first, wired
from snn_deploy.ir.codecs import Encode
from snn_deploy.ir.network import Network, Output, Population
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.words import counted

STEP = 1e-4
"""Length of a step [s] that a model which counts time in steps is written with: snnTorch reads
every file so, and SpikingJelly unless it is told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What plain NIR says of one node."""

    node: str
    type: str
    """Of the NIR node, or of the nearest one."""

    saying: Saying
    reasons: tuple[str, ...] = ()
    """Why it is not exact as it is: what was decomposed, or what cannot be said."""

    notes: tuple[str, ...] = ()
    """What else NIR leaves to its reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sayings:
    """What plain NIR says of a network."""

    nodes: tuple[Said, ...]
    dt: float
    """Length of a step that the plain file is read with [s]."""

    @property
    def refused(self) -> tuple[Said, ...]:
        """The nodes that plain NIR cannot say."""
        return tuple(said for said in self.nodes if not said.saying.plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A network as plain NIR says it."""

    sayings: Sayings
    content: bytes | None
    """The plain file; None: there is none, for `sayings.refused`."""

    def required(self) -> bytes:
        """Return the plain file.

        Raises:
            GraphError: plain NIR cannot say a node; the first is named.
            UnknownNodeError: the first such node has no NIR node near it.
        """
        if self.content is None:
            raise refusal(self.sayings)
        return self.content


def say(imported: Imported) -> Sayings:
    """Return what plain NIR says of each node of a network."""
    return plain(imported).sayings


MOST_LINES = 20
"""Refused nodes that an error lists."""


def refusal(sayings: Sayings) -> DeployError:
    """Return the error that lists the nodes which plain NIR cannot say."""
    refused = sayings.refused
    lines = [
        f"  {said.node}: {said.type}, {said.saying.value}: {'; '.join(said.reasons)}"
        for said in refused[:MOST_LINES]
    ]
    if len(refused) > MOST_LINES:
        lines.append(f"  and {len(refused) - MOST_LINES} more")
    first = refused[0]
    kind = UnknownNodeError if first.saying is Saying.UNSUPPORTED else GraphError
    title = f"plain NIR cannot say {len(refused)} of {counted(len(sayings.nodes), 'node')}"
    return kind(
        "\n".join([title, *lines]),
        where=f"{first.node}, first of {len(refused)}",
        fix="--annotated writes the nearest nodes, and the rest into the metadata",
    )


def plain(imported: Imported, *, dt: float | None = None) -> Plain:
    """Return what plain NIR says of a network, and the plain file if it says all of it.

    Args:
        imported: The network.
        dt: Length of a step that it is written with [s]; None: the network's own, or `STEP`.
    """
    annotation = imported.annotation
    if dt is None:
        dt = annotation.dt.value if annotation.unit.value is Unit.SECOND else STEP
    forms = _forms(imported, dt)
    # A Delay inside a form may open a loop, whose last edge then waits for no step of its own.
    made = _plain(imported, forms, dt, everywhere=False)
    return made or _plain(imported, forms, dt, everywhere=True) or _unreadable()


def _unreadable() -> Plain:
    raise AssertionError("a plain file is read with other delays than it was made with")


def _plain(
    imported: Imported, forms: Mapping[str, Form], dt: float, *, everywhere: bool
) -> Plain | None:
    """Return a network as plain NIR says it; None: the file would be read with other delays."""
    graph = imported.graph
    loops = wired(graph, imported.annotation, imported.network, everywhere=everywhere)
    sayings = Sayings(
        nodes=tuple(_said(n, graph.nodes[n], imported, forms, loops) for n in _in_order(graph)),
        dt=dt,
    )
    if sayings.refused:
        return Plain(sayings=sayings, content=None)
    assembled = _assembled(loops, forms, imported, dt)
    if not _reads_back(assembled, forms, imported.network, dt):
        return None
    return Plain(sayings=sayings, content=write_graph(assembled))


def _in_order(graph: nir.NIRGraph) -> list[str]:
    """Return the nodes from inputs to outputs."""
    following: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in reversed(graph.edges):
        following[source].append(target)
    inputs = [n for n, node in graph.nodes.items() if isinstance(node, nir.Input)]
    return depth_first([*reversed(inputs), *graph.nodes], lambda n: following[n]).order


def _reads_back(graph: nir.NIRGraph, forms: Mapping[str, Form], meant: Network, dt: float) -> bool:
    """Return whether everything arrives in the step that it is meant to."""
    read = import_graph(
        checked_graph(graph, ""),
        name="plain",
        where="plain",
        dialect=Dialect.NIR,
        overrides=Overrides(dt=dt),
    ).network

    def steps(network: Network, sources: Sequence[str], target: str) -> set[int]:
        ways = [p for p in network.into(target) if p.source in sources]
        return {int(step) for way in ways for step in np.unique(way.delay)}

    for projection in meant.projections:
        source, target = projection.source, projection.target
        sends = forms[source].sends if source in forms else (source,)
        if steps(meant, (source,), target) != steps(read, sends, target):
            return False
    return True


def _forms(imported: Imported, dt: float) -> dict[str, Form]:
    taken = frozenset(imported.graph.nodes)
    return {
        name: _form(imported, name, node, dt, taken)
        for name, node in imported.graph.nodes.items()
        if isinstance(node, NEURONS)
    }


def _form(
    imported: Imported, name: str, node: nir.NIRNode, dt: float, taken: frozenset[str]
) -> Form:
    population, late = _neurons(imported.annotation, name, node)
    plainly = imported.annotation.unit.value is Unit.SECOND and not late
    if plainly and imported.annotation.dt.value == dt and _is_plain(name, node, population, dt):
        return Form(
            saying=Saying.EXACT, nodes={name: node}, entry=name, exits=(name,), sends=(name,)
        )
    return plain_form(name, population, dt, late=late, taken=taken)


def _is_plain(name: str, node: nir.NIRNode, population: Population, dt: float) -> bool:
    """Return whether the node itself is read as just these neurons, to the last bit."""
    canonical = decide({name: node}, None, Dialect.NIR, Overrides(dt=dt)).annotation.neurons[name]
    try:
        read = population_of(name, node, population.shape, canonical, dt)
    except DynamicsError:  # a step longer than a time constant: it decays exponentially
        return False
    return record_of(read, "") == record_of(population, "")


def _neurons(annotation: Annotation, name: str, node: nir.NIRNode) -> tuple[Population, int]:
    """Return what a node's neurons compute, and by how many steps they send late."""
    if name in annotation.cells:
        return annotation.cells[name], 0
    dynamics = annotation.neurons[name]
    shape = tuple(int(n) for n in node.input_type["input"])
    population = population_of(name, node, shape, dynamics, annotation.dt.value)
    return population, 0 if dynamics.firing is None else dynamics.firing.late.value


def _said(
    name: str, node: nir.NIRNode, imported: Imported, forms: Mapping[str, Form], loops: Wired
) -> Said:
    said = Said(node=name, type=node_type(node), saying=Saying.EXACT)
    if isinstance(node, nir.Output):
        return _output(said, imported.network)
    if isinstance(node, nir.Input):
        how = imported.encoding.how
        coded = f"values become steps by {how.value} coding, which is not said"
        return said if how is Encode.RECORDED else replace(said, notes=(coded,))
    entered = _entered(name, imported)
    if entered:
        reason = f"what it gives enters the {' and '.join(entered)}"
        return replace(said, saying=Saying.METADATA, reasons=(reason,))
    if name in forms:
        said = replace(said, saying=forms[name].saying, reasons=forms[name].reasons)
    if name not in loops.unsaid:
        return _looped(said, imported.annotation, loops)
    unsaid = "its loop is read otherwise, and no edge for a Delay is its own"
    saying = Saying.METADATA if said.saying.plain else said.saying
    return replace(said, saying=saying, reasons=(*said.reasons, unsaid))


def _entered(name: str, imported: Imported) -> list[str]:
    """Return which states of which neurons a node drives, of those that NIR does not drive."""
    state = imported.annotation.into.get(name)
    if state is None:
        return []
    behind = [target for source, target in imported.graph.edges if source == name]
    driven = {target: imported.network.population(target) for target in behind}
    return [f"{state.value} of {n}" for n, neurons in driven.items() if neurons.entry is not state]


def _looped(said: Said, annotation: Annotation, loops: Wired) -> Said:
    """Return what is said of neurons, and of the loops that they close."""
    for source, target in annotation.feedback:
        if target != said.node:
            continue
        what = f"{source} sends it the step before"
        if (source, target) not in loops.delayed:
            said = replace(said, notes=(*said.notes, f"{what}, as loops are read"))
            continue
        saying = Saying.DECOMPOSED if said.saying is Saying.EXACT else said.saying
        said = replace(said, saying=saying, reasons=(*said.reasons, f"{what}: Delay"))
    return said


def _output(said: Said, network: Network) -> Said:
    output = next(o for o in network.outputs if o.name == said.node)
    spiking = network.population(output.population).fires in (Fires.BINARY, Fires.COUNT)
    if output.weights is not None:
        reason = f"its steps weigh {output.weights} in the answer"
        return replace(said, saying=Saying.METADATA, reasons=(reason,))
    if spiking and not output.decode.spiking:
        reason = "the membrane of neurons that spike is its answer"
        return replace(said, saying=Saying.METADATA, reasons=(reason,))
    if output.decode is _likely(output, spiking=spiking):
        return said
    return replace(said, notes=(f"read by {output.decode.value}, which is not said",))


def _likely(output: Output, *, spiking: bool) -> Decode:
    if spiking:
        return Decode.COUNT
    readout = output.population == output.name
    return Decode.MEMBRANE_MEAN if readout else Decode.MEMBRANE_END


def _assembled(
    loops: Wired, forms: Mapping[str, Form], imported: Imported, dt: float
) -> nir.NIRGraph:
    """Return the plain graph: neurons as their forms, delays in the new step."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    for name, node in loops.graph.nodes.items():
        if name in forms:
            nodes |= forms[name].nodes
            edges += forms[name].edges
        elif isinstance(node, nir.Delay):
            steps = np.rint(node.delay / imported.annotation.dt.value)
            nodes[name] = nir.Delay(delay=steps * dt)
        else:
            nodes[name] = node
    for source, target in loops.graph.edges:
        entry = forms[target].entry if target in forms else target
        exits = forms[source].exits if source in forms else (source,)
        edges += [(each, entry) for each in exits]
    metadata = {key: value for key, value in imported.graph.metadata.items() if key != KEY}
    return nir.NIRGraph(nodes=nodes, edges=loops_first(edges), metadata=metadata, type_check=False)
