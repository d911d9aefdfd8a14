"""One flat graph out of nested ones: every edge joins two nodes that compute something."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import nir
import numpy as np

from snn_deploy.errors import GraphError, ModelError
from snn_deploy.frontends.nir.nodes import (
    FIELDS,
    Stored,
    check_name,
    check_positive,
    make_node,
    node_type,
    stored_fields,
)
from snn_deploy.ir.findings import Finding, Kind

Edge = tuple[str, str]


@dataclass(slots=True)
class FlatGraph:
    """Nodes by name, in natural order of names, and the edges between them."""

    nodes: dict[str, nir.NIRNode]
    edges: list[Edge]
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = {name: self.nodes[name] for name in sorted(self.nodes, key=natural)}
        self.edges = sorted(self.edges, key=lambda edge: (natural(edge[0]), natural(edge[1])))

    def successors(self) -> dict[str, list[str]]:
        """Return the targets of each node's edges."""
        following: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            following[source].append(target)
        return following

    def predecessors(self) -> dict[str, list[str]]:
        """Return the sources of each node's edges."""
        before: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            before[target].append(source)
        return before


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a sorting key that puts "2" before "10": files keep no order of nodes."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]+", name)
    return tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)


def checked_graph(graph: nir.NIRGraph, where: str) -> nir.NIRGraph:
    """Return a copy of a graph that was made in memory, with every field checked.

    Raises:
        ModelError: as `make_node`; also a field that is no array.
    """
    nodes = {}
    for name, node in graph.nodes.items():
        check_name(name, where)
        inner = f"{where}: {name}" if where else name
        nodes[name] = (
            checked_graph(node, inner) if isinstance(node, nir.NIRGraph) else _checked(node, inner)
        )
    edges = [(str(source), str(target)) for source, target in graph.edges]
    metadata = dict(graph.metadata) if isinstance(graph.metadata, Mapping) else {}
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata, type_check=False)


def _checked(node: nir.NIRNode, where: str) -> nir.NIRNode:
    kind = node_type(node)
    fields: dict[str, Stored] = {}
    if kind in FIELDS:
        try:
            fields = dict(stored_fields(node))
        except (TypeError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(
                f"a field of this {kind} node is not an array: {error}",
                where=where,
                fix="give numpy arrays; of a torch tensor, tensor.detach().cpu().numpy()",
            ) from error
    copy = make_node(kind, fields, where)
    copy.metadata = dict(node.metadata)
    return copy


def flatten(graph: nir.NIRGraph) -> FlatGraph:
    """Return the graph without graphs inside it.

    A node `b` of an inner graph `a` becomes `a.b`. The ports of inner graphs disappear: what
    enters one goes on to the nodes behind it.

    Raises:
        GraphError: an edge to nowhere, one that stands twice, or an inner graph with several
            inputs or outputs, where NIR does not say which an edge means.
    """
    flat = FlatGraph({}, [])
    ports = _collect(graph, "", flat)
    for port in ports:
        _splice(flat, port)
    doubled = [edge for edge, times in Counter(flat.edges).items() if times > 1]
    if doubled:
        raise GraphError(
            "an edge stands twice",
            where=" -> ".join(doubled[0]),
            fix="double the weight instead",
        )
    for name, node in flat.nodes.items():
        check_positive(node, name)
    return FlatGraph(flat.nodes, flat.edges, flat.findings)


def _collect(graph: nir.NIRGraph, prefix: str, flat: FlatGraph) -> list[str]:
    """Add the nodes and edges of `graph` to `flat`; return the ports to be taken out again."""
    ports: list[str] = []
    entry: dict[str, str] = {}
    leave: dict[str, str] = {}
    edges = _repaired_edges(graph, prefix, flat)
    for name, node in graph.nodes.items():
        full = prefix + name
        if not isinstance(node, nir.NIRGraph):
            if full in flat.nodes:
                raise GraphError(
                    "two nodes have the same name once inner graphs are opened", where=full
                )
            flat.nodes[full] = node
            continue
        ports += _collect(node, f"{full}.", flat)
        inner = {kind: _ports(node, kind) for kind in (nir.Input, nir.Output)}
        ports += [f"{full}.{port}" for names in inner.values() for port in names]
        if any(target == name for _, target in edges):
            entry[name] = f"{full}.{_only(inner[nir.Input], full, 'inputs')}"
        if any(source == name for source, _ in edges):
            leave[name] = f"{full}.{_only(inner[nir.Output], full, 'outputs')}"
    flat.edges += [
        (leave.get(source, prefix + source), entry.get(target, prefix + target))
        for source, target in edges
    ]
    return ports


def _ports(graph: nir.NIRGraph, kind: type) -> list[str]:
    return [name for name, node in graph.nodes.items() if isinstance(node, kind)]


def _only(ports: list[str], graph: str, what: str) -> str:
    if len(ports) != 1:
        raise GraphError(
            f"an edge meets an inner graph of {len(ports)} {what}, and cannot say which",
            where=graph,
            fix="give the inner graph one input and one output, or put its nodes into the outer",
        )
    return ports[0]


def _repaired_edges(graph: nir.NIRGraph, prefix: str, flat: FlatGraph) -> list[Edge]:
    """Return the edges; a single unknown name that can only mean one node is read as that node.

    snnTorch once wrote inner graphs whose edges name a node by its old name.
    """
    named = {name for edge in graph.edges for name in edge}
    unknown = sorted(named - set(graph.nodes))
    if not unknown:
        return list(graph.edges)
    unused = sorted(set(graph.nodes) - named)
    if len(unknown) > 1 or len(unused) != 1:
        raise GraphError(
            f"an edge names {unknown[0]!r}, but there is no such node",
            where=prefix.rstrip(".") or "the graph",
            fix=f"known are {', '.join(sorted(graph.nodes, key=natural)[:20])}",
        )
    flat.findings.append(
        Finding(
            kind=Kind.GUESSED,
            layer=prefix + unused[0],
            amount=f"edges that name {prefix + unknown[0]!r} are taken to mean it",
            reason="there is no such node, and this is the only one that no edge names",
        )
    )
    rename = {unknown[0]: unused[0]}
    return [(rename.get(a, a), rename.get(b, b)) for a, b in graph.edges]


def _splice(flat: FlatGraph, port: str) -> None:
    """Take a port of an inner graph out: join what comes before it to what comes after."""
    before = [source for source, target in flat.edges if target == port]
    after = [target for source, target in flat.edges if source == port]
    if port in before:
        raise GraphError("a loop without any neuron or delay", where=port)
    flat.edges = [edge for edge in flat.edges if port not in edge]
    flat.edges += [(source, target) for source in before for target in after]
    del flat.nodes[port]


def complete_ports(flat: FlatGraph) -> FlatGraph:
    """Return the graph with an Input before each root and an Output after each leaf, where it
    has no Input or no Output of its own at all.

    Raises:
        GraphError: nothing enters, and no root says which shape it reads.
    """
    nodes, edges, findings = dict(flat.nodes), list(flat.edges), list(flat.findings)
    if not any(isinstance(node, nir.Input) for node in nodes.values()):
        roots = [name for name, before in flat.predecessors().items() if not before]
        shapes = {name: np.ravel(_reads(nodes[name])) for name in roots}
        if not roots or any(not shape.size for shape in shapes.values()):
            raise GraphError(
                "nothing enters the network: it has no Input node",
                where=roots[0] if roots else "every node is part of a loop",
                fix="add a nir.Input with the shape of the data",
            )
        for name in roots:
            nodes[f"input_{name}"] = nir.Input(input_type=shapes[name])
            edges.append((f"input_{name}", name))
            findings.append(_added(f"input_{name}", f"an Input before {name}"))
    if not any(isinstance(node, nir.Output) for node in nodes.values()):
        leaves = [name for name, after in flat.successors().items() if not after]
        if not leaves:
            raise GraphError(
                "nothing leaves the network: it has no Output node", fix="add a nir.Output"
            )
        for name in leaves:
            nodes[f"output_{name}"] = nir.Output(output_type=None)
            edges.append((name, f"output_{name}"))
            findings.append(_added(f"output_{name}", f"an Output after {name}"))
    return FlatGraph(nodes, edges, findings)


def _reads(node: nir.NIRNode) -> np.ndarray:
    shape = node.input_type.get("input") if node.input_type else None
    return np.asarray([] if shape is None else shape, np.int64)


def _added(name: str, what: str) -> Finding:
    return Finding(
        kind=Kind.GUESSED,
        layer=name,
        amount=f"{what} was added",
        reason="the graph has none; add one to say what enters and leaves",
    )
