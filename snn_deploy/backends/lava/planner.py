"""Chooses a Lava process for each population and projection of a program.

A stock process is chosen only where its integers equal the program's for every input that the
program declares; else a process of our own, which runs in Lava's simulator only.
"""

from snn_deploy.backends.lava.connections import stock_process, why_not_stock
from snn_deploy.backends.lava.kinds import (
    kind_groups,
    process_of_kind,
    why_not_stock_kind,
)
from snn_deploy.backends.lava.lif import groups, guard, process_of, why_not_lif
from snn_deploy.backends.lava.plan import (
    Connection,
    Group,
    Guard,
    Neuron,
    Plan,
    PopulationPlan,
    ProjectionPlan,
)
from snn_deploy.backends.lava.worst import own_shift
from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arithmetic import Sums
from snn_deploy.ir.graph import shortest_delay
from snn_deploy.ir.program import Population, Program, Projection
from snn_deploy.targets import Support, Target, find_target


def make_plan(program: Program) -> Plan:
    """Return how `program` runs in Lava.

    Raises:
        UnsupportedError: a projection has no delay, for each takes a step in Lava; or the chip
            adds what arrives row by row, which Lava's channels do not.
    """
    if by_row(program):
        raise UnsupportedError(
            "each source neuron enters the state on its own, but Lava's connections send sums",
            where=program.name,
            fix="run it in the event or reference simulator, or export for another --target",
        )
    instant = without_delay(program)
    if instant:
        raise UnsupportedError(
            f"{len(instant)} of {len(program.projections)} projections have no delay, "
            "but in Lava each takes one step at least",
            where=", ".join(instant),
            fix="export with --target loihi, which retimes the network",
        )
    chip = find_target("loihi2")  # it describes what lava-nc 0.10.0 models
    own = {p.name: why_not_stock(program, p, chip) for p in program.projections}
    populations = {p.name: _population(program, p, own, chip) for p in program.populations}
    projections = [
        _projection(program, p, own[p.name], populations, chip) for p in program.projections
    ]
    return Plan(populations=tuple(populations.values()), projections=tuple(projections))


def by_row(program: Program) -> bool:
    """Return whether the program's chip adds what arrives row by row, which Lava cannot."""
    return program.arithmetic.sums is Sums.BY_ROW


def without_delay(program: Program) -> tuple[str, ...]:
    """Return the projections that Lava cannot run, because they arrive in the step they leave."""
    return tuple(p.name for p in program.projections if shortest_delay(p) == 0)


def _population(
    program: Program, population: Population, own: dict[str, str], chip: Target
) -> PopulationPlan:
    stock = population.kind is not None
    reason = (why_not_stock_kind if stock else why_not_lif)(program, population, chip)
    fed_by = [p.name for p in program.into(population.name) if own[p.name]]
    if fed_by and not reason:
        reason = f"{fed_by[0]} is no stock connection: {own[fed_by[0]]}"
    if reason or population.kind is None:
        shifts = [p.shift for p in program.into(population.name)]
        shift = min([chip.weights.shift.value, *shifts])
    else:
        shift = own_shift(program, population.name)
    return PopulationPlan(
        name=population.name,
        process=Neuron.OWN if reason else _process(population),
        support=Support.SIMULATED if reason else Support.NATIVE,
        reason=reason,
        input_shift=shift,
        groups=() if reason else _groups(population, chip),
        guard=Guard.NONE if reason or population.kind is not None else guard(population),
    )


def _process(population: Population) -> Neuron:
    if population.kind is not None:
        return process_of_kind(population.kind)
    return process_of(population)


def _groups(population: Population, chip: Target) -> tuple[Group, ...]:
    if population.kind is not None:
        return kind_groups(population, chip)
    return groups(population, chip)


def _projection(
    program: Program,
    projection: Projection,
    own: str,
    populations: dict[str, PopulationPlan],
    chip: Target,
) -> ProjectionPlan:
    exponent = projection.shift - populations[projection.target].input_shift
    source, target = populations.get(projection.source), populations[projection.target]
    if own:
        process, reason = Connection.OWN, own
    else:
        grouped = max(len(target.groups), len(source.groups) if source else 0) > 1
        process, reason = stock_process(
            program, projection, exponent=exponent, grouped=grouped, chip=chip
        )
    highest = max(abs(bound) for bound in program.payload_range(projection.source))
    binary = program.payload_range(projection.source) in ((0, 0), (0, 1))
    return ProjectionPlan(
        name=projection.name,
        process=process,
        support=Support.SIMULATED if own else Support.NATIVE,
        reason=reason,
        weight_exponent=exponent,
        message_bits=0 if binary else highest.bit_length(),
    )
