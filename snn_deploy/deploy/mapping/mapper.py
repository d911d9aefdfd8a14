"""Maps a program to the cores of a chip or a board."""

from dataclasses import dataclass

from snn_deploy.deploy.mapping.activity import Activity, assumed
from snn_deploy.deploy.mapping.core_map import Core, CoreMap, Goal, Stored, Use
from snn_deploy.deploy.mapping.cutting import Cut, Cutter, Held, Unfit
from snn_deploy.deploy.mapping.layer import Layer
from snn_deploy.deploy.mapping.placing import place, positions, traffic
from snn_deploy.deploy.mapping.refusals import too_few_cores, too_many_chips, unfit
from snn_deploy.deploy.mapping.search import Point, chosen, fewest, front, within
from snn_deploy.errors import OptionError, UnsupportedError
from snn_deploy.ir.program import Program
from snn_deploy.targets import CoreRules, Per, Resource, Target


def map_program(
    program: Program,
    target: Target,
    activity: Activity | None = None,
    *,
    cores: int | None = None,
    optimize: Goal = Goal.LATENCY,
    chips: int | None = None,
) -> CoreMap:
    """Return which core holds which neurons of a program.

    Args:
        program: Populations and projections, as integers.
        target: A chip with cores.
        activity: How often each neuron sends; None: all alike.
        cores: The most cores that it may take; None: as many as serve `optimize`, on as few chips
            as the network needs.
        optimize: What the number of cores is chosen for.
        chips: Chips that there are; None: as many as the largest board of the target has.

    Raises:
        CoresError: the network does not fit; it says what is short, by how much and a way out.
        UnsupportedError: the target has no cores.
        OptionError: `cores` or `chips` is below 1.
    """
    plan = _plan(program, target, activity, chips)
    if cores is not None and cores < 1:
        raise OptionError(f"{cores} cores", where="--cores", fix="--cores auto")
    cut = plan.first
    if cores is not None:
        if cores < len(cut.cores):
            raise too_few_cores(cut, plan.layers, target, cores)
        cut = within(plan.cutter, cut, min(cores, plan.chips * plan.per_chip))
    else:
        point = chosen(_front(plan), optimize)
        cut = cut if point.cores == len(cut.cores) else plan.cutter.cut(point.bound)
    return _core_map(plan, cut, optimize)


def map_front(
    program: Program, target: Target, activity: Activity | None = None, *, chips: int | None = None
) -> tuple[Point, ...]:
    """Return the choices of `map_program`: from the fewest cores to the shortest step.

    Raises:
        CoresError: the network does not fit.
        UnsupportedError: the target has no cores.
    """
    return tuple(_front(_plan(program, target, activity, chips)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A program ready to be mapped, and its cut into the fewest cores."""

    program: Program
    target: Target
    rules: CoreRules
    layers: dict[str, Layer]
    cutter: Cutter
    first: Cut
    measured: bool
    per_chip: int
    chips: int
    """That there are."""

    @property
    def fewest_chips(self) -> int:
        """Chips that the limits need."""
        return -(-len(self.first.cores) // self.per_chip)


def _plan(program: Program, target: Target, activity: Activity | None, chips: int | None) -> _Plan:
    rules = target.cores
    limit = target.limit(Resource.CORES, Per.CHIP)
    if rules is None or limit is None:
        raise UnsupportedError(
            f"{target.name} has no cores that populations could be mapped to",
            where=target.name,
            fix="--target loihi1 or loihi2, or a target with [cores]: docs/targets.md",
        )
    if chips is not None and chips < 1:
        raise OptionError(f"{chips} chips", where="--chips", fix="--chips 1")
    rates = assumed(program) if activity is None else activity
    layers = {p.name: Layer(program, p, target, rates) for p in program.populations}
    cutter = Cutter(program, layers, target)
    try:
        first = fewest(cutter)
    except Unfit as problem:
        raise unfit(problem, target) from None
    there = max((board.chips for board in rules.boards), default=1) if chips is None else chips
    if len(first.cores) > there * limit.value:
        raise too_many_chips(first, target, limit.value, there)
    return _Plan(
        program=program,
        target=target,
        rules=rules,
        layers=layers,
        cutter=cutter,
        first=first,
        measured=rates.measured,
        per_chip=limit.value,
        chips=there,
    )


def _front(plan: _Plan) -> list[Point]:
    chips = plan.fewest_chips
    return front(plan.cutter, plan.first, plan.rules, chips * plan.per_chip, chips)


def _core_map(plan: _Plan, cut: Cut, goal: Goal) -> CoreMap:
    flow = traffic(plan.layers, cut.cores)
    site, hops = place(flow, plan.rules.mesh, plan.per_chip, goal)
    chip, x, y = positions(site, plan.rules.mesh, plan.per_chip)
    order = sorted(range(len(cut.cores)), key=lambda number: int(site[number]))
    cores = tuple(
        _core(number, (int(chip[old]), int(x[old]), int(y[old])), cut.cores[old])
        for number, old in enumerate(order)
    )
    chips = 1 + max(core.chip for core in cores)
    boards = (board.name for board in plan.rules.boards if board.chips >= chips)
    return CoreMap(
        program=plan.program.digest,
        target=plan.target.name,
        goal=goal,
        measured=plan.measured,
        chips=chips,
        board=next(boards, "") if chips > 1 else "",
        uses=tuple(_use(resource, plan.target, cores) for resource in OF_A_CORE),
        stored=tuple(
            Stored(
                projection=wiring.projection.name,
                encoding=wiring.encoding,
                weight_bits=wiring.format.weight,
                delay_bits=wiring.format.delay,
            )
            for layer in plan.layers.values()
            for wiring in layer.wirings
        ),
        hops=hops,
        cores=cores,
    )


OF_A_CORE = tuple(resource for resource in Resource if resource is not Resource.CORES)


def _use(resource: Resource, target: Target, cores: tuple[Core, ...]) -> Use:
    limit = target.limit(resource)
    fullest = max(cores, key=lambda core: core.used(resource))
    return Use(
        resource=resource,
        limit=None if limit is None else limit.value,
        most=fullest.used(resource),
        core=fullest.core,
    )


def _core(number: int, at: tuple[int, int, int], held: Held) -> Core:
    """Return the record of one core: its number, where it is, what it holds."""
    usage = held.usage
    return Core(
        core=number,
        chip=at[0],
        x=at[1],
        y=at[2],
        parts=held.parts,
        neurons=usage.counts[Resource.NEURONS],
        synapse_bits=dict(usage.bits),
        state_bits=usage.state_bits,
        input_axons=usage.counts[Resource.INPUT_AXONS],
        output_axons=usage.counts[Resource.OUTPUT_AXONS],
        lists=usage.lists,
        delay=usage.delay,
        neuron_configurations=usage.counts[Resource.NEURON_CONFIGURATIONS],
        thresholds=usage.counts[Resource.THRESHOLDS],
        synapse_formats=usage.counts[Resource.SYNAPSE_FORMATS],
        load=usage.load,
    )
