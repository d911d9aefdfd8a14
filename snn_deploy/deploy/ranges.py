"""The range proof as users see it: one table, one row per population."""

from dataclasses import dataclass

from snn_deploy.deploy.table import aligned
from snn_deploy.ir.program import Program
from snn_deploy.ir.words import counted
from snn_deploy.quantize.ranges import Proof, RegisterProof, prove
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRange:
    """What is proven of one register of the neurons of a population."""

    register: str
    """What it holds, such as `the membrane`."""

    proven: bool
    reach: int | None
    """Largest number, by size, that the worst neuron may reach; None: no bound is known."""

    holds: int
    """Largest number of that sign that the register holds."""

    neuron: tuple[int, ...]
    """The worst neuron."""

    unproven: int
    """Neurons that may leave the register's range."""

    overflow: str | None
    """What the register does then: `wrap`, `saturate`, ..."""

    text: str
    """All of this in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationRange:
    """What is proven of one population."""

    population: str
    proven: bool
    steps: int | None
    """Longest run, in steps of a sample, in which no register leaves its range; None: any."""

    reason: str
    """Why nothing is proven of its states; empty: something is."""

    registers: tuple[RegisterRange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The range proof of a program."""

    steps: int | None
    """Of the runs that were asked about; None: any number."""

    populations: tuple[PopulationRange, ...]

    @property
    def proven(self) -> bool:
        """Whether no input that the program admits can overflow any register."""
        return all(population.proven for population in self.populations)

    def __str__(self) -> str:
        names = list(dict.fromkeys(r.register for p in self.populations for r in p.registers))
        rows = [("population", *(name.removeprefix("the ") for name in names), "proven for")]
        for population in self.populations:
            cells = {r.register: r.text for r in population.registers}
            shown = tuple(cells.get(name, population.reason or "-") for name in names)
            rows.append((population.population, *shown, _runs(population.steps)))
        runs = "of any length" if self.steps is None else f"of {counted(self.steps, 'step')}"
        table = "\n".join(f"  {line}" for line in aligned(rows).splitlines())
        return f"ranges, for all inputs that the program admits, in runs {runs}\n{table}"


def _runs(steps: int | None) -> str:
    return "any run" if steps is None else f"up to {counted(steps, 'step')}"


def ranges_of(program: Program, target: Target, steps: int | None) -> Ranges:
    """Return what is proven of a program in runs of `steps` steps; None: of any length."""
    asked, forever = (prove(program, target, steps=count) for count in (steps, None))
    return Ranges(
        steps=steps,
        populations=tuple(_population(*both) for both in zip(asked, forever, strict=True)),
    )


def _population(asked: Proof, forever: Proof) -> PopulationRange:
    return PopulationRange(
        population=asked.population,
        proven=asked.proven,
        steps=forever.steps,
        reason=asked.reason,
        registers=tuple(_register(register) for register in asked.registers),
    )


def _register(proof: RegisterProof) -> RegisterRange:
    return RegisterRange(
        register=proof.name,
        proven=proof.proven,
        reach=proof.reach,
        holds=proof.holds,
        neuron=proof.neuron,
        unproven=proof.unproven,
        overflow=None if proof.overflow is None else proof.overflow.value,
        text=str(proof),
    )
