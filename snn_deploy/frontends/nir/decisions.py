"""Who decides what NIR leaves open: an option, the file's metadata, its dialect, or a guess."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import nir

from snn_deploy.errors import OptionError, UnknownNameError
from snn_deploy.frontends.dynamics import (
    Choice,
    Dynamics,
    Firing,
    Gain,
    Origin,
    Overrides,
    ResetRule,
    Unit,
)
from snn_deploy.frontends.nir.annotation import Annotation, Stated
from snn_deploy.frontends.nir.cells import CellOrigins, overridden
from snn_deploy.frontends.nir.dialects import (
    RULES,
    SPIKE_CAP,
    Dialect,
    Rules,
    derived_dt,
    guess_dialect,
)
from snn_deploy.frontends.nir.nodes import SPIKING
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.network import Arithmetic
from snn_deploy.ir.neuron import Compare, Fires
from snn_deploy.ir.words import nearest

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, and what of it was guessed."""

    annotation: Annotation
    findings: tuple[Finding, ...]


def dialect_named(name: str | Dialect) -> Dialect:
    """Return the dialect of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if isinstance(name, Dialect):
        return name
    known = [dialect.value for dialect in Dialect]
    if name in known:
        return Dialect(name)
    near = nearest(name, known)
    raise UnknownNameError(
        f"{name!r} is not a dialect of NIR that we know",
        where="--dialect",
        fix=f"--dialect {near}" if near else f"one of {', '.join(known)}",
    )


def decide(
    neurons: Mapping[str, nir.NIRNode],
    stated: Stated | None,
    dialect: Dialect | None,
    overrides: Overrides,
) -> Decision:
    """Return everything NIR leaves open about the neuron nodes, and about the step.

    An override comes first, then the file's metadata, then the dialect; without one, a guess.
    Of neurons whose numbers are stated nothing is open, but an override still counts.

    Raises:
        OptionError: a `dt` that contradicts a file whose time is counted in steps.
    """
    return _Decider(neurons, stated, dialect, overrides).decision()


class _Decider:
    def __init__(
        self,
        neurons: Mapping[str, nir.NIRNode],
        stated: Stated | None,
        dialect: Dialect | None,
        overrides: Overrides,
    ) -> None:
        self.stated = stated.annotation if stated else None
        self.cells = self.stated.cells if self.stated else {}
        self.neurons = neurons = {n: node for n, node in neurons.items() if n not in self.cells}
        self.overrides = overrides
        self.findings: list[Finding] = []
        open_nodes = [n for n in neurons if self.stated is None or n not in self.stated.neurons]
        self.needs_rules = bool(open_nodes) or self.stated is None
        for name in sorted(stated.changed if stated else ()):
            self._guessed(
                f"the metadata about the neurons {name} is not used",
                "their node was changed after it was written",
            )
        if stated and not stated.untouched:
            self._guessed(
                "its metadata belongs to other weights or edges",
                "the file was changed after it was written; write it again to say it still holds",
            )
        if dialect is not None and not self.needs_rules:
            self.findings.append(
                Finding(
                    kind=Kind.CHANGED,
                    layer="",
                    amount=f"--dialect {dialect.value} is not used",
                    reason="the file's own metadata says how its neurons compute",
                )
            )
        self.origin = Origin.DIALECT
        if dialect is None:
            self.origin = Origin.GUESSED
            guess = guess_dialect(neurons)
            dialect = guess.dialect
            if self.needs_rules and neurons:
                self._guessed(
                    f"read as {dialect.value} writes it",
                    f"{guess.because}; --dialect says who wrote it",
                )
        self.dialect = dialect
        self.rules: Rules = RULES[dialect]

    def decision(self) -> Decision:
        stated, rules = self.stated, self.rules
        dynamics = {name: self._dynamics(name) for name in self.neurons}
        self._report_firing(dynamics)
        origins = stated.cell_origins if stated else {}
        cells = {
            name: overridden(cell, origins.get(name, CellOrigins()), self.overrides)
            for name, cell in self.cells.items()
        }
        unit = stated.unit if stated else self._ruled(rules.unit)
        annotation = Annotation(
            dt=self._dt(unit.value),
            unit=unit,
            arithmetic=stated.arithmetic if stated else self._ruled(Arithmetic.FLOAT64),
            feedback_bias_at_start=stated.feedback_bias_at_start
            if stated
            else self._ruled(rules.feedback_bias_at_start),
            neurons=dynamics,
            cells={name: cell for name, (cell, _) in cells.items()},
            cell_origins={name: origin for name, (_, origin) in cells.items()},
            outputs=stated.outputs if stated else {},
            weights=stated.weights if stated else {},
            feedback=stated.feedback if stated else (),
            into=stated.into if stated else {},
            encoding=self.overrides.encoding.applied(stated.encoding if stated else Encoding()),
        )
        return Decision(annotation=annotation, findings=tuple(self.findings))

    def _ruled(self, value: T) -> Choice[T]:
        return Choice(value=value, origin=self.origin)

    def _guessed(self, amount: str, reason: str) -> None:
        self.findings.append(Finding(kind=Kind.GUESSED, layer="", amount=amount, reason=reason))

    def _dt(self, unit: Unit) -> Choice[float]:
        dt = self.overrides.dt
        if dt is not None:
            if unit is Unit.STEP and dt != 1:
                raise OptionError(
                    f"dt is {dt:g}, but this file counts time in steps: its dt is 1",
                    where="--dt",
                    fix="leave --dt out, or name another --dialect",
                )
            if self.cells and self.stated is not None and dt != self.stated.dt.value:
                raise OptionError(
                    f"dt is {dt:g}, but these neurons were read with the step they compute: "
                    f"{self.stated.dt.value:g}",
                    where="--dt",
                    fix="leave --dt out",
                )
            return Choice(value=dt, origin=Origin.OVERRIDE)
        if self.stated is not None:
            return self.stated.dt
        derived = derived_dt(self.dialect, self.neurons)
        known = derived if derived is not None else self.rules.dt
        origin = self.origin
        if known is None or (derived is not None and self.dialect is Dialect.NIR):
            origin = Origin.GUESSED
        if known is None:
            known = self.rules.likely_dt
        if origin is Origin.GUESSED and self.neurons and unit is Unit.SECOND:
            sign = "the resistances fit it" if derived else "it is the likeliest"
            self._guessed(f"dt = {known:g} s", f"NIR stores no time step; {sign}; --dt states it")
        return Choice(value=known, origin=origin)

    def _dynamics(self, name: str) -> Dynamics:
        stated = self.stated.neurons.get(name) if self.stated else None
        node = self.neurons[name]
        if stated is None or (stated.firing is None) == isinstance(node, SPIKING):
            stated = self._by_rules(node)
        if stated.firing is None:
            return stated
        return replace(stated, firing=self._overridden(node, stated.firing))

    def _by_rules(self, node: nir.NIRNode) -> Dynamics:
        rules = self.rules
        plain = isinstance(node, nir.I | nir.IF)
        firing = None
        if isinstance(node, nir.Threshold):  # NIR defines it wholly: one spike where x > threshold
            firing = Firing(
                reset=self._ruled(ResetRule.NONE),
                compare=self._ruled(Compare.GREATER),
                fires=self._ruled(Fires.BINARY),
                max_spikes=self._ruled(1),
                floor=self._ruled(None),
                late=self._ruled(0),
            )
        elif isinstance(node, SPIKING):
            floor_origin = Origin.GUESSED if rules.floor_is_lost else self.origin
            firing = Firing(
                reset=self._ruled(rules.reset),
                compare=self._ruled(rules.compare),
                fires=self._ruled(rules.fires),
                max_spikes=self._ruled(rules.max_spikes),
                floor=Choice(value=None, origin=floor_origin),
                late=self._ruled(rules.late),
            )
        return Dynamics(
            integration=self._ruled(rules.integration),
            membrane_gain=self._ruled(rules.plain_gain if plain else rules.leaky_gain),
            current_gain=self._ruled(
                rules.current_gain
                if isinstance(node, nir.CubaLI | nir.CubaLIF)
                else Gain.INTEGRATED
            ),
            firing=firing,
        )

    def _overridden(self, node: nir.NIRNode, firing: Firing) -> Firing:
        options = self.overrides
        if options.compare is not None:
            compare = Choice(value=options.compare, origin=Origin.OVERRIDE)
            firing = replace(firing, compare=compare)
        if isinstance(node, nir.Threshold):
            return firing
        if options.reset is not None:
            firing = replace(firing, reset=Choice(value=options.reset, origin=Origin.OVERRIDE))
        if options.floor is not None:
            floor = None if options.floor == float("-inf") else options.floor
            firing = replace(firing, floor=Choice(value=floor, origin=Origin.OVERRIDE))
        return firing

    def _report_firing(self, dynamics: Mapping[str, Dynamics]) -> None:
        """Add a finding for each thing that was guessed about firing, once for all neurons."""
        firing = [
            each.firing
            for name, each in dynamics.items()
            if each.firing and not isinstance(self.neurons[name], nir.Threshold)
        ]
        guessed = Origin.GUESSED
        for reset in _values(f.reset.value.value for f in firing if f.reset.origin is guessed):
            self._guessed(f"reset: {reset}", "NIR does not say how a spike resets; --reset does")
        for compare in _values(
            f.compare.value.value for f in firing if f.compare.origin is guessed
        ):
            self._guessed(
                f"spikes where v {compare} threshold", "NIR does not settle ties; --compare does"
            )
        if self.rules.floor_is_lost and any(f.floor.origin is guessed for f in firing):
            self._guessed(
                "no floor under the membrane",
                f"{self.dialect.value} may have had one, which its exporter does not write; "
                "--floor states it",
            )
        counts = [f for f in firing if f.fires.value is Fires.COUNT]
        if any(f.max_spikes.origin in (guessed, Origin.DIALECT) for f in counts):
            self.findings.append(
                Finding(
                    kind=Kind.CHANGED,
                    layer="",
                    amount=f"at most {SPIKE_CAP} spikes a step of one neuron",
                    reason=f"{self.dialect.value} has no such bound; a chip's messages need one",
                )
            )


def _values(found: Iterable[str]) -> list[str]:
    return sorted(set(found))
