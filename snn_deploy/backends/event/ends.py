"""How the units of a program hang together."""

from dataclasses import dataclass

from snn_deploy.backends.event.schedule import Unit
from snn_deploy.ir.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How a unit hangs together with the others."""

    unit: Unit
    reads: tuple[str, ...]
    """Nodes outside that drive it."""

    gives: tuple[str, ...]
    """Populations of its own that drive others."""

    rows: slice
    """Its populations in the records."""

    @classmethod
    def of(cls, program: Program, unit: Unit, first: int) -> "Ends":
        """Return the ends of a unit whose first population has the row `first`."""
        inside, projections = set(unit.names), program.projections
        read = {p.source for p in projections if p.target in inside} - inside
        given = {p.source for p in projections if p.target not in inside} & inside
        names = [node.name for node in program.nodes]
        return cls(
            unit=unit,
            reads=tuple(name for name in names if name in read),
            gives=tuple(name for name in names if name in given),
            rows=slice(first, first + len(unit.names)),
        )
