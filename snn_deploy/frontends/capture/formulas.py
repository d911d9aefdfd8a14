"""What a value is made of: formulas over what the inputs and the layers with states gave, and when.

Two values with the same formula are the same object, so that the graphs of two steps, or of two
samples, are compared by identity.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from snn_deploy.frontends.layers import Layer
from snn_deploy.ir.maps import Shape

MEMBRANE = "membrane"
"""Which state of a layer a `Source` gives that has none of its outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """What is done to values of one step: a layer without states, or a function."""

    name: str
    """Of the node that it becomes, if no other has it."""

    layer: Layer | None = None
    """What it does; None: `object` says it."""

    biased: bool = True
    """Whether it gives anything for zeros."""

    object: Any = None
    """Layer of a framework, which a frontend reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A value of one step, without batch and time."""

    number: int
    """In the order of making: arguments come before what is made of them."""

    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Source(Formula):
    """What an input or a layer with states gives."""

    name: str
    """Path of the layer; the input has none: it is ''."""

    step: int | None
    """Step, or steps from the present one on; None: it is the same in every step."""

    state: str = ""
    """Name of a state that it gives in place of its output."""


@dataclass(frozen=True, slots=True, eq=False)
class Zero(Formula):
    """Nothing: values that are all zero because there is no step before."""


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Formula):
    """A sum of values of the same shape."""

    terms: tuple[Formula, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Joined(Formula):
    """Values side by side along an axis."""

    axis: int
    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Applied(Formula):
    """What a layer or a function makes of a value."""

    op: Op
    value: Formula


@dataclass(slots=True)
class Formulas:
    """All formulas of a capture."""

    known: dict[Hashable, Formula] = field(default_factory=dict)
    ops: dict[Hashable, Op] = field(default_factory=dict)
    shifted: dict[tuple[int, int], Formula] = field(default_factory=dict)
    latest_of: dict[int, int | None] = field(default_factory=dict)

    def _made(self, key: Hashable, make: Callable[[int], Formula]) -> Formula:
        if key not in self.known:
            self.known[key] = make(len(self.known))
        return self.known[key]

    def op(self, key: Hashable, make: Callable[[], Op]) -> Op:
        """Return the only operation with this key."""
        if key not in self.ops:
            self.ops[key] = make()
        return self.ops[key]

    def source(self, name: str, step: int | None, shape: Shape, state: str = "") -> Formula:
        """Return what `name` gives in a step."""
        key = ("source", name, step, shape, state)
        return self._made(key, lambda n: Source(n, shape, name, step, state))

    def zero(self, shape: Shape) -> Formula:
        """Return zeros."""
        return self._made(("zero", shape), lambda n: Zero(n, shape))

    def total(self, *values: Formula) -> Formula:
        """Return the sum of values, which have one shape."""
        terms: list[Formula] = []
        for value in values:
            if isinstance(value, Sum):
                terms += value.terms
            elif not isinstance(value, Zero):
                terms.append(value)
        if not terms:
            return values[0]
        if len(terms) == 1:
            return terms[0]
        key = ("sum", tuple(term.number for term in terms))
        return self._made(key, lambda n: Sum(n, terms[0].shape, tuple(terms)))

    def joined(self, axis: int, parts: tuple[Formula, ...], shape: Shape) -> Formula:
        """Return values side by side."""
        if all(isinstance(part, Zero) for part in parts):
            return self.zero(shape)
        key = ("joined", axis, tuple(part.number for part in parts))
        return self._made(key, lambda n: Joined(n, shape, axis, parts))

    def applied(self, op: Op, value: Formula, shape: Shape) -> Formula:
        """Return what `op` makes of a value."""
        if isinstance(value, Zero) and not op.biased:
            return self.zero(shape)
        key = ("applied", id(op), value.number)
        return self._made(key, lambda n: Applied(n, shape, op, value))

    def latest(self, formula: Formula) -> int | None:
        """Return the latest step that a formula reads; None: none in particular."""
        if formula.number not in self.latest_of:
            for part in self._inner_first(formula, lambda f: f.number in self.latest_of):
                steps = [self.latest_of[p.number] for p in parts_of(part)]
                if isinstance(part, Source):
                    steps = [part.step]
                self.latest_of[part.number] = max((s for s in steps if s is not None), default=None)
        return self.latest_of[formula.number]

    def at(self, formula: Formula, steps: int) -> Formula:
        """Return the formula `steps` later."""

        def moved(source: Source) -> Formula:
            if source.step is None:
                return source
            return self.source(source.name, source.step + steps, source.shape, source.state)

        if steps == 0:
            return formula
        return self._rebuilt(formula, moved, {}, key=steps)

    def begun(self, formula: Formula, step: int, *, bias_waits: bool) -> Formula:
        """Return what a relative formula is in an early step: what lies before step 0 is zero.

        Args:
            bias_waits: Whether layers that read only zeros give nothing, in place of their bias.
        """

        def kept(source: Source) -> Formula:
            early = source.step is not None and source.step + step < 0
            return self.zero(source.shape) if early else source

        return self._rebuilt(formula, kept, {}, waits=bias_waits)

    def _rebuilt(
        self,
        formula: Formula,
        leaf: Callable[[Source], Formula],
        made: dict[int, Formula],
        *,
        key: int | None = None,
        waits: bool = False,
    ) -> Formula:
        """Return a formula with its sources replaced.

        Args:
            key: Under which results are remembered for other formulas.
            waits: Whether an operation on zeros gives zeros.
        """

        def found(part: Formula) -> Formula | None:
            if key is not None and (part.number, key) in self.shifted:
                return self.shifted[part.number, key]
            return made.get(part.number)

        for part in self._inner_first(formula, lambda f: found(f) is not None):
            inner = [found(p) or p for p in parts_of(part)]
            new: Formula = part
            if isinstance(part, Source):
                new = leaf(part)
            elif isinstance(part, Sum):
                new = self.total(*inner)
            elif isinstance(part, Joined):
                new = self.joined(part.axis, tuple(inner), part.shape)
            elif isinstance(part, Applied):
                nothing = waits and isinstance(inner[0], Zero)
                new = (
                    self.zero(part.shape)
                    if nothing
                    else self.applied(part.op, inner[0], part.shape)
                )
            made[part.number] = new
            if key is not None:
                self.shifted[part.number, key] = new
        result = found(formula)
        assert result is not None
        return result

    @staticmethod
    def _inner_first(formula: Formula, known: Callable[[Formula], bool]) -> Iterator[Formula]:
        """Yield a formula's parts that are not known yet, each behind its own parts."""
        pending = [formula]
        while pending:
            part = pending[-1]
            if known(part):
                pending.pop()
                continue
            missing = [p for p in parts_of(part) if not known(p)]
            if missing:
                pending += missing
                continue
            pending.pop()
            yield part


def parts_of(formula: Formula) -> tuple[Formula, ...]:
    """Return the values that a formula is made of."""
    if isinstance(formula, Sum):
        return formula.terms
    if isinstance(formula, Joined):
        return formula.parts
    if isinstance(formula, Applied):
        return (formula.value,)
    return ()


def sources_of(formula: Formula) -> tuple[Source, ...]:
    """Return everything that a formula reads, each once."""
    found, seen, pending = [], set(), [formula]
    while pending:
        part = pending.pop()
        if part.number in seen:
            continue
        seen.add(part.number)
        if isinstance(part, Source):
            found.append(part)
        pending += parts_of(part)
    return tuple(sorted(found, key=lambda source: source.number))


def terms_of(formula: Formula) -> tuple[Formula, ...]:
    """Return the terms of a sum, or the only one."""
    return formula.terms if isinstance(formula, Sum) else (formula,)
