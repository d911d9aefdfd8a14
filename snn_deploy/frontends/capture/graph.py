"""From what a run has shown to layers: formulas become nodes; what is late, feedback or delays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from snn_deploy.errors import GraphError, UnknownNodeError
from snn_deploy.frontends.capture.axes import Over
from snn_deploy.frontends.capture.called import ROOT
from snn_deploy.frontends.capture.formulas import (
    Applied,
    Formula,
    Formulas,
    Joined,
    Op,
    Source,
    Sum,
    sources_of,
    terms_of,
)
from snn_deploy.frontends.capture.leaves import PROBE, Probe, probe, spiking
from snn_deploy.frontends.capture.outputs import Given
from snn_deploy.frontends.capture.run import Tracing
from snn_deploy.frontends.layers import (
    Cell,
    Concatenation,
    Delay,
    LayerGraph,
    Linear,
)
from snn_deploy.frontends.layers import Sum as SumLayer
from snn_deploy.frontends.modules import INPUT, OUTPUT
from snn_deploy.frontends.registry import read_layer
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.neuron import Decode

_DECODES = {
    Over.SUM: Decode.MEMBRANE_MEAN,
    Over.MEAN: Decode.MEMBRANE_MEAN,
    Over.MAX: Decode.MEMBRANE_MAX,
    Over.LAST: Decode.MEMBRANE_END,
}
"""How a value that is no spike is read; a sum is the mean, but for the number of steps."""


def build(module: Any, tracing: Tracing, formulas: Formulas, shape: Shape) -> LayerGraph:
    """Return the layers that a run has shown.

    Args:
        module: The module.
        tracing: What its run has shown.
        formulas: Of the run.
        shape: Of a sample's values in one step.

    Raises:
        ModelError: its layers cannot be one network.
    """
    modules = {path or ROOT: child for path, child in module.named_modules()}
    taken = modules.keys()
    entry = f"{INPUT}s" if INPUT in taken else INPUT
    builder = _Builder(
        formulas=formulas,
        tracing=tracing,
        modules=modules,
        graph=LayerGraph(inputs={entry: shape}),
        entry=entry,
    )
    builder.run()
    return builder.graph


@dataclass(frozen=True, slots=True, kw_only=True)
class _Late:
    """A value that layers read one step late, or more."""

    targets: tuple[str, ...]
    value: Formula
    """As of the present step."""

    steps: int


@dataclass(slots=True, kw_only=True)
class _Builder:
    """Layers, as they are made."""

    formulas: Formulas
    tracing: Tracing
    modules: Mapping[str, Any]
    graph: LayerGraph
    entry: str
    made: dict[int, str] = field(default_factory=dict)
    neurons: dict[str, str] = field(default_factory=dict)
    """Node that gives the output of a layer with states, by its path."""

    late: list[_Late] = field(default_factory=list)
    probes: dict[str, Probe] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    """Names that are given away."""

    def run(self) -> None:
        """Make all layers that lead to an output."""
        given = self.tracing.outputs
        taken = self.modules.keys()
        stem = f"{OUTPUT}s" if OUTPUT in taken else OUTPUT
        names = [stem] if len(given) == 1 else [f"{stem}_{i}" for i in range(len(given))]
        if not any(source.name == "" for source in self._all_sources()):
            raise GraphError("nothing that the module computes reads its input")
        sources = [self._output_node(output.formula) for output in given]
        while self.late:
            late = self.late.pop()
            source = self.node(late.value, None)
            if late.steps > 1:
                delay = Delay(steps=late.steps - 1)
                source = self.graph.add(self._free(f"{source}.later"), delay, source)
            for target in late.targets:
                self.graph.feed_back(source, target)
        for name, source, output in zip(names, sources, given, strict=True):
            self.graph.outputs[name] = source
            self._decode(name, source, output)
        self._settle_biases()
        self._report_unused()

    def _all_sources(self) -> list[Source]:
        formulas = [*self.tracing.entering.values(), *(o.formula for o in self.tracing.outputs)]
        return [source for formula in formulas for source in sources_of(formula)]

    def _settle_biases(self) -> None:
        waits = self.tracing.bias_waits
        if waits is None:
            return
        if self.graph.bias_waits and not waits:
            raise GraphError(
                "a bias on a feedback path acts in step 0, but layers among the others wait for "
                "the first spikes that are fed back",
                fix="start your own feedback in the second step: leave it out while there are "
                "no spikes yet",
            )
        self.graph.bias_waits = waits

    def _report_unused(self) -> None:
        for path in self.tracing.entering:
            if path not in self.neurons:
                self.graph.findings.append(
                    Finding(
                        kind=Kind.CHANGED,
                        layer=path,
                        amount="left out",
                        reason="no output comes after it",
                    )
                )

    # -------------------------------------------------------------- outputs

    def _output_node(self, formula: Formula) -> str:
        if isinstance(formula, Source) and formula.state:
            if formula.state != "membrane":
                raise UnknownNodeError(
                    f"the module returns the state {formula.state!r} of these neurons",
                    where=formula.name,
                    fix="return their spikes or their membrane",
                )
            self.neuron(formula.name)
            cell = self._probe(formula.name).cell
            if cell is None:
                raise UnknownNodeError(
                    "the module returns the membrane of a layer that is more than neurons",
                    where=formula.name,
                    fix="return its spikes",
                )
            return cell[0]
        return self.node(formula, None)

    def _decode(self, name: str, source: str, given: Given) -> None:
        node = self.graph.nodes.get(source)
        membrane = isinstance(given.formula, Source) and bool(given.formula.state)
        fires = node is not None and isinstance(node.layer, Cell) and spiking(node.layer)
        if membrane and given.over is None:
            self.graph.decodes[name] = Decode.MEMBRANE_END
            self.graph.findings.append(
                Finding(
                    kind=Kind.GUESSED,
                    layer=name,
                    amount="read as membrane-end",
                    reason="the module returns the membrane of every step; --decode says which "
                    "of them is the answer",
                )
            )
        elif membrane and given.over is not None:
            self.graph.decodes[name] = _DECODES[given.over]
        elif fires and given.over in (Over.SUM, Over.MEAN):
            self.graph.decodes[name] = Decode.COUNT
        elif fires and given.over is not None:
            raise UnknownNodeError(
                f"the module returns the {given.over.value} of spikes over all steps",
                where=source,
                fix="return the spikes of every step, or their sum or mean",
            )
        elif given.over is not None:
            self.graph.decodes[name] = _DECODES[given.over]

    # ---------------------------------------------------------------- nodes

    def node(self, formula: Formula, reader: str | None) -> str:
        """Return the node that gives a value.

        Args:
            formula: The value; what is of steps before goes through delays.
            reader: Path of the neurons that need it; None: an output, or what is fed back.
        """
        if formula.number in self.made:
            return self.made[formula.number]
        if isinstance(formula, Source):
            name = self.neuron(formula.name) if formula.name else self.entry
            if formula.step is not None and formula.step < 0:
                delay = Delay(steps=-formula.step)
                name = self.graph.add(
                    self._free(f"{formula.name or self.entry}.later"), delay, name
                )
        elif isinstance(formula, Sum):
            terms = [self._present(term, reader) for term in formula.terms]
            name = self.graph.add(self._free("sum"), SumLayer(), *terms)
        elif isinstance(formula, Joined):
            parts = [self._present(part, reader) for part in formula.parts]
            name = self.graph.add(self._free("cat"), Concatenation(axis=formula.axis), *parts)
        elif isinstance(formula, Applied):
            name = self._applied(formula, reader)
        else:
            raise GraphError("zeros are given to a layer in every step", where=reader or "")
        self.made[formula.number] = name
        return name

    def _present(self, formula: Formula, reader: str | None) -> str:
        """Return the node of a value that joins others; it may not be fed back."""
        if self._cyclic(formula, reader):
            raise GraphError(
                "what is fed back is added to, or put beside, values of the present step in a way "
                "that is not followed",
                where=reader or "",
                fix="give what is fed back a Linear layer of its own, and add what that gives",
            )
        return self.node(formula, reader)

    def _applied(self, formula: Applied, reader: str | None) -> str:
        op = formula.op
        name = self._free(op.name)

        def add(source: str) -> str:
            if op.layer is not None:
                return self.graph.add(name, op.layer, source)
            return read_layer(self.graph, name, op.object, source)

        return self._attached(name, formula.value, add, reader)

    def neuron(self, path: str) -> str:
        """Return the node that gives the output of a layer with states."""
        if path not in self.neurons:
            module = self.modules[path]
            self.neurons[path] = path  # a loop within a step cannot be: it has run

            def add(source: str) -> str:
                return read_layer(self.graph, path, module, source)

            self.neurons[path] = self._attached(path, self.tracing.entering[path], add, path)
            self._check_initial(path)
        return self.neurons[path]

    def _check_initial(self, path: str) -> None:
        if path not in self.tracing.explicit:
            return
        for node in self._probe(path).nodes.values():
            if isinstance(node.layer, Cell) and np.any(node.layer.initial):
                raise GraphError(
                    "the module starts these neurons from zeros, but by themselves they start "
                    f"from {np.max(np.abs(node.layer.initial)):g}",
                    where=path,
                    fix="give them no state in the first step",
                )

    def _attached(
        self, name: str, value: Formula, add: Callable[[str], str], reader: str | None
    ) -> str:
        """Add what reads a value; what it reads of steps before is fed back or delayed."""
        sources: list[str] = []
        late: list[Formula] = []
        for term in terms_of(self._parted(value, reader)):
            if self._cyclic(term, reader):
                late.append(term)
            elif self.tracing.bias_waits and (steps := -(self.formulas.latest(term) or 0)):
                now = self.node(self.formulas.at(term, steps), reader)
                sources.append(self.graph.add(self._free(f"{now}.later"), Delay(steps=steps), now))
            else:
                sources.append(self.node(term, reader))
        if not sources:
            raise GraphError(
                "it reads only what is fed back to it",
                where=name,
                fix="let it read something of the present step too",
            )
        source = sources[0]
        if len(sources) > 1:
            source = self.graph.add(self._free(f"{name}.sum"), SumLayer(), *sources)
        before = set(self.graph.nodes)
        given = add(source)
        entries = [
            n for n, node in self.graph.nodes.items() if n not in before and source in node.inputs
        ]
        for term in late:
            steps = -(self.formulas.latest(term) or 0)
            later = self.formulas.at(term, steps)
            self.late.append(_Late(targets=tuple(entries), value=later, steps=steps))
        return given

    def _parted(self, value: Formula, reader: str | None) -> Formula:
        """Return a sum whose terms are either of the present step or fed back: a Linear layer of
        values side by side is the sum of one for each of them."""
        terms: list[Formula] = []
        for term in terms_of(value):
            joined = term.value if isinstance(term, Applied) else None
            mixed = isinstance(joined, Joined) and (
                self._cyclic(joined, reader) or any(self._cyclic(p, reader) for p in joined.parts)
            )
            if isinstance(term, Applied) and isinstance(joined, Joined) and mixed:
                terms += self._parts(term.op, joined, term.shape, reader)
            else:
                terms.append(term)
        return self.formulas.total(*terms)

    def _parts(self, op: Op, joined: Joined, shape: Shape, reader: str | None) -> list[Formula]:
        layer = op.layer
        if op.object is not None:
            read = probe(op.object, op.name)
            node = read.nodes.get(read.given)
            layer = node.layer if node is not None and node.inputs == (PROBE,) else None
        if not isinstance(layer, Linear) or len(joined.shape) != 1:
            raise GraphError(
                "what is fed back is put beside values of the present step, and enters a layer "
                "that is not Linear",
                where=op.name,
                fix="give what is fed back a layer of its own, and add what that gives",
            )
        made, start = [], 0
        bias = layer.bias
        for index, part in enumerate(joined.parts):
            weight = layer.weight[:, start : start + part.shape[0]]
            start += part.shape[0]
            own = bias if not self._cyclic(part, reader) else None
            bias = None if own is not None else bias
            piece = Linear(weight=weight, bias=own)
            name = f"{op.name}.{index}"
            new = self.formulas.op(
                ("part", id(op), index), partial(Op, name, piece, piece.bias is not None)
            )
            made.append(self.formulas.applied(new, part, shape))
        return made

    def _cyclic(self, formula: Formula, reader: str | None) -> bool:
        """Return whether a value is of steps before and reads what its reader made of them."""
        latest = self.formulas.latest(formula)
        if reader is None or latest is None or latest >= 0:
            return False
        return any(reader in self._upstream(source.name) for source in sources_of(formula))

    def _upstream(self, path: str) -> set[str]:
        """Return the neurons that a layer's output depends on, itself included."""
        found, pending = set(), [path]
        while pending:
            name = pending.pop()
            if name in found or not name:
                continue
            found.add(name)
            pending += [source.name for source in sources_of(self.tracing.entering[name])]
        return found

    def _probe(self, path: str) -> Probe:
        if path not in self.probes:
            self.probes[path] = probe(self.modules[path], path)
        return self.probes[path]

    def _free(self, name: str) -> str:
        """Return a name that no node has, from now on taken by the caller."""
        taken = {*self.graph.nodes, *self.graph.inputs, *self.tracing.entering, *self.names}
        free, number = name, 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        self.names.add(free)
        return free
