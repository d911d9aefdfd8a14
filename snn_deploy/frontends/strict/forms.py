"""Which plain NIR nodes compute exactly what neurons compute, and where there are none, why not.

The canonical reading of NIR (`Dialect.NIR`): explicit Euler with a stated step, one spike where
v > threshold, reset to v_reset at once; the membrane starts at v_leak, without a leak at v_reset,
the current at 0. With it

    late subtracting reset   LI, Threshold, and a Scale of -amount from the spikes back to the LI
    subtracting reset        the same with -decay * amount: d (v - a s) = d v - d a s
    no reset                 LI and Threshold
    several spikes a step    a Threshold for each, at 1, 2, 3 ... thresholds, all added up
    v >= threshold           v > the next smaller float32 number
    start, bias              v_leak is the start; an Affine in front adds what bias is missing
    synaptic current         an LI in front, where CubaLI and CubaLIF do not have it
    old current, late spike  a Delay
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import nir
import numpy as np

from snn_deploy.frontends.nir import NEURONS
from snn_deploy.frontends.strict.parts import (
    Filter,
    Front,
    Parts,
    Stage,
    Test,
    Values,
    crowded,
    obstacles,
    outside,
    parts_of,
    stage,
)
from snn_deploy.ir.network import Population


class Saying(Enum):
    """How well plain NIR says a node."""

    EXACT = "exact"
    """The plain node, read canonically, computes the same."""

    DECOMPOSED = "exact by decomposition"
    """Several plain nodes compute the same, or one with a number changed."""

    METADATA = "metadata only"
    """The nearest node differs; our metadata says the rest."""

    UNSUPPORTED = "unsupported"
    """NIR has no node that comes near."""

    @property
    def plain(self) -> bool:
        """Whether plain NIR says it."""
        return self in (Saying.EXACT, Saying.DECOMPOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Plain NIR nodes in place of one node, or why there are none."""

    saying: Saying
    reasons: tuple[str, ...] = ()
    """What was decomposed, or what stands in the way."""

    nodes: Mapping[str, nir.NIRNode] = field(default_factory=dict)
    """Empty where plain NIR does not say it."""

    edges: tuple[tuple[str, str], ...] = ()
    entry: str = ""
    exits: tuple[str, ...] = ()
    """What they send adds up."""

    sends: tuple[str, ...] = ()
    """The last of them that are neurons; the first has the node's own name."""


def plain_form(
    name: str, population: Population, dt: float, *, late: int, taken: frozenset[str]
) -> Form:
    """Return the plain NIR nodes that compute what neurons compute.

    Args:
        name: Of the node. The first neurons keep it, so that a walk over the graph meets what
            it met, in the same order; those behind them come later in the order of names.
        population: The neurons, without what projections bring.
        dt: Length of a step that they are written with [s].
        late: Steps by which they send late.
        taken: Names of other nodes.
    """
    beyond = outside(population)
    if beyond:
        return Form(saying=Saying.UNSUPPORTED, reasons=(*beyond, *obstacles(population)))
    reasons = obstacles(population)
    if reasons:
        return Form(saying=Saying.METADATA, reasons=reasons)
    maker = _Maker(name=name, dt=dt, taken=taken)
    maker.make(parts_of(population))
    if maker.crowded:
        return Form(saying=Saying.METADATA, reasons=tuple(maker.crowded))
    sends = tuple(maker.ends)
    if late:
        maker.delay(late)
    return Form(
        saying=Saying.DECOMPOSED if maker.notes else Saying.EXACT,
        reasons=tuple(maker.notes),
        nodes=maker.nodes,
        edges=tuple(maker.edges),
        entry=next(iter(maker.nodes)),
        exits=tuple(maker.ends),
        sends=sends,
    )


@dataclass(slots=True, kw_only=True)
class _Maker:
    """The nodes of one form, as they are put one behind another."""

    name: str
    dt: float
    taken: frozenset[str]
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    crowded: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()

    def make(self, parts: Parts) -> None:
        self.shape = parts.shape
        test, current = parts.test, parts.current
        if test is not None and test.meant_at is not None:
            self.notes.append("v >= threshold: v > the next smaller float32")
        if current is not None:
            fused = _fused(parts, self.dt)
            if fused is not None:
                self._cuba(fused, current, test)
                return
            self._current(current, old=parts.reads_old)
        if test is None:
            self._last(parts.membrane, None)
        elif _is_gate(parts.membrane, test):
            self._gate(test)
        elif _is_one(parts.membrane, test):
            self._last(parts.membrane, test)
        else:
            self._tested(parts.membrane, test)

    def delay(self, steps: int) -> None:
        self.notes.append(f"sends {steps} step{'s' * (steps > 1)} late: Delay")
        self._put("late", nir.Delay(delay=np.full(self.shape, steps * self.dt)))

    def _free(self, part: str) -> str:
        wanted = f"{self.name}.{part}"
        while wanted in self.taken:
            wanted += "_"
        return wanted

    def _put(self, part: str, node: nir.NIRNode) -> str:
        """Put a node behind the last ones; the first neurons get the name of all."""
        first = isinstance(node, NEURONS) and self.name not in self.nodes
        name = self.name if first else self._free(part)
        self.nodes[name] = node
        self.edges += [(end, name) for end in self.ends]
        self.ends = [name]
        return name

    def _front(self, front: Front | None, part: str) -> None:
        if front is None:
            return
        if not front.fits():
            self.crowded.append(crowded(front))
            return
        node = front.node()
        self._put(part, node)
        kind = type(node).__name__
        self.notes.append(f"{'factor' if front.bias is None else 'bias or start'}: {kind} in front")

    def _cuba(self, fused: "_Fused", current: Filter, test: Test | None) -> None:
        self._front(fused.current.front, "in")
        fields = {
            "tau_syn": fused.current.tau,
            "tau_mem": fused.membrane.tau,
            "r": fused.membrane.r,
            "v_leak": fused.membrane.leak,
            "w_in": fused.current.r,
        }
        if test is None:
            self._put("membrane", nir.CubaLI(**fields))
        else:
            self._put("spikes", nir.CubaLIF(**fields, **_threshold(test, current.decay)))

    def _current(self, current: Filter, *, old: bool) -> None:
        made = stage(current, self.dt, starts=np.zeros(self.shape), shifts=False, unit=False)
        self._front(made.front, "current.in")
        self._put("current", _integrator(made))
        self.notes.append("synaptic current: LI in front")
        if old:
            self._put("current.delay", nir.Delay(delay=np.full(self.shape, self.dt)))
            self.notes.append("reads the current of the step before: Delay")

    def _last(self, membrane: Filter, test: Test | None) -> None:
        """Put the node that is neurons and all: LI, I, LIF or IF."""
        starts = np.zeros(self.shape)
        if test is not None and test.value is not None:
            starts = test.value
        made = stage(membrane, self.dt, starts=starts, shifts=False, unit=False)
        self._front(made.front, "in")
        if test is None:
            self._put("membrane", _integrator(made))
            return
        firing = _threshold(test, membrane.decay)
        if made.tau is None:
            self._put("spikes", nir.IF(r=made.r, **firing))
        else:
            self._put("spikes", nir.LIF(tau=made.tau, r=made.r, v_leak=made.leak, **firing))

    def _gate(self, test: Test) -> None:
        if test.levels > 1 and not self.nodes:  # one node for what enters, many behind it
            self._put("in", nir.Scale(scale=np.ones(self.shape)))
        self._thresholds(test, np.zeros(self.shape))

    def _tested(self, membrane: Filter, test: Test) -> None:
        """Put a filter, its test, and the way back from it."""
        made = stage(
            membrane,
            self.dt,
            starts=np.zeros(self.shape),
            shifts=True,
            unit=test.subtracts is not None,
        )
        self._front(made.front, "in")
        node = _integrator(made)
        inner, kind = self._put("membrane", node), type(node).__name__
        self._thresholds(test, made.shift)
        if test.subtracts is None:
            self.notes.append(f"no reset: {kind}, Threshold")
            return
        back = self._free("reset")
        self.nodes[back] = nir.Scale(scale=-test.subtracts)
        self.edges += [(end, back) for end in self.ends] + [(back, inner)]
        when = "in the next step" if test.late else "at once"
        self.notes.append(f"a spike subtracts {when}: {kind}, Threshold, Scale back")

    def _thresholds(self, test: Test, shift: Values) -> None:
        before = list(self.ends)
        made = []
        for k in range(1, test.levels + 1):
            self.ends = list(before)
            gate = nir.Threshold(threshold=test.level(k, shift))
            made.append(self._put("spikes" if k == 1 else f"spikes.{k}", gate))
        self.ends = made
        if test.levels > 1:
            self.notes.append(f"up to {test.levels} spikes a step: a Threshold for each")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fused:
    """Current and membrane as one CubaLI or CubaLIF has them."""

    current: Stage
    membrane: Stage


def _fused(parts: Parts, dt: float) -> _Fused | None:
    """Return the stages of one node with a synaptic current; None: no such node computes it."""
    test, current = parts.test, parts.current
    assert current is not None
    if parts.reads_old or np.any(current.initial) or not _is_one(parts.membrane, test):
        return None
    membrane = stage(parts.membrane, dt, starts=None, shifts=False, unit=False)
    if membrane.front is not None:
        return None
    made = stage(current, dt, starts=None, shifts=False, unit=False)
    return _Fused(current=made, membrane=membrane)


def _integrator(made: Stage) -> nir.NIRNode:
    if made.tau is None:
        return nir.I(r=made.r)
    return nir.LI(tau=made.tau, r=made.r, v_leak=made.leak)


def _threshold(test: Test, decay: Values) -> dict[str, Values]:
    value = np.zeros_like(decay) if test.value is None else test.value
    return {"v_threshold": test.threshold, "v_reset": value}


def _forgets(membrane: Filter, test: Test) -> bool:
    """Return whether nothing is left of a membrane in the next step, reset or not."""
    return not np.any(membrane.decay) and test.subtracts is None


def _is_one(membrane: Filter, test: Test | None) -> bool:
    """Return whether one NIR node has the membrane and its test."""
    if test is None:
        return True
    return test.levels == 1 and (test.value is not None or _forgets(membrane, test))


def _is_gate(membrane: Filter, test: Test) -> bool:
    """Return whether the neurons are a Threshold: they keep nothing, and add nothing."""
    plain = np.all(membrane.gain == 1) and not np.any(membrane.bias)
    return bool(_forgets(membrane, test) and plain)
