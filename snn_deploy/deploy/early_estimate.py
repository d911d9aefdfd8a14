"""Energy of samples that are left early: of the steps that each of them really ran."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import fsum
from typing import ClassVar

import numpy as np
from jaxtyping import Int64

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import analysis, runs
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.early_exit import answered, shortened
from snn_deploy.deploy.results import EnergyEstimate
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.codecs import needs, predict
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Recording
from snn_deploy.ir.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the first output says of every sample, and when."""

    predicted: Int64[np.ndarray, " sample"]
    steps: Int64[np.ndarray, " sample"]
    """That each sample ran until its answer was read [steps of the network]."""

    whole: int
    """Steps of a sample that is not left early."""


def answers_of(deployment: Deployment, data: Data) -> Answers:
    """Return the answers of a deployment, of left samples as they were then."""
    program, rule = deployment.program, deployment.early_exit
    output, backend = program.outputs[0], find_backend("event")
    state = frozenset({needs(output.decode)})
    record = Recording(states=state, populations=(output.population,))
    width = program.population(output.population).size + sum(i.size for i in program.inputs)
    found, whole = [], 0
    for block in runs.blocks(data, deployment, width):
        trace = backend.run(program, block.inputs, record)
        whole = block.steps
        found.append(answered(program, output, trace, block, rule))
    return Answers(
        predicted=np.concatenate([predict(one.answer) for one in found]),
        steps=np.concatenate([one.steps for one in found]),
        whole=whole,
    )


def counted_steps(program: Program, answers: Answers) -> Int64[np.ndarray, " sample"]:
    """Return how many steps of each sample are counted: what is under way goes on.

    An answer comes out `lag` steps late; until it is read, every layer runs on. The layers behind
    the input have then run some steps fewer than are counted here, never more.
    """
    under_way = -(-program.lag // program.period)
    return np.minimum(answers.steps + under_way, answers.whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Samples that were left after equally many steps."""

    steps: int
    """That are counted, what is under way included."""

    samples: int
    estimate: EnergyEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyEstimate(ShownTable):
    """The result of `estimate` where samples are left early."""

    left: tuple[Left, ...]

    derived: ClassVar[tuple[str, ...]] = ("value", "low", "high", "steps")

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(one.samples for one in self.left)

    @property
    def value(self) -> float:
        """Mean per sample [J]."""
        return self._mean(tuple(one.estimate.value for one in self.left))

    @property
    def low(self) -> float:
        """With the lowest published prices [J]."""
        return self._mean(tuple(one.estimate.low for one in self.left))

    @property
    def high(self) -> float:
        """With the highest published prices [J]."""
        return self._mean(tuple(one.estimate.high for one in self.left))

    @property
    def steps(self) -> float:
        """Steps that are counted, mean per sample."""
        return self._mean(tuple(float(one.steps) for one in self.left))

    def _mean(self, values: tuple[float, ...]) -> float:
        weighted = (one.samples * v for one, v in zip(self.left, values, strict=True))
        return fsum(weighted) / self.samples

    def __str__(self) -> str:
        rows = [("left after", "samples", "energy a sample")]
        rows += [
            (counted(one.steps, "step"), f"{one.samples}", f"{one.estimate.value * 1e6:,.3f} uJ")
            for one in self.left
        ]
        profile = self.left[0].estimate.estimate.profile
        lines = [
            f"energy estimate: {profile.title}",
            f"early exit: mean of {counted(self.samples, 'sample')}, {self.steps:.2f} steps each, "
            "what is under way included; reading the output after each step is not priced",
            "",
            aligned(rows, right=(0, 1, 2)),
            "",
            f"estimate  {self.value * 1e6:.3f} uJ a sample, "
            f"published prices span {self.low * 1e6:.3f} to {self.high * 1e6:.3f}",
        ]
        lines += [f"not in it {item.what}: {item.reason}" for item in profile.unpriced]
        return "\n".join(lines)


def estimate(
    deployment: Deployment, data: Data, profile: str | None, answers: Answers | None = None
) -> EarlyEstimate:
    """Return the energy of samples, each of the steps that it runs.

    Args:
        deployment: What is run.
        data: The samples.
        profile: Table of prices; None: the target's.
        answers: When each sample is left, if that is known.

    Raises:
        OptionError: the target names no table of prices, and none is given.
    """
    known = answers_of(deployment, data) if answers is None else answers
    return EarlyEstimate(left=tuple(_left(deployment, data, profile, known)))


def _left(
    deployment: Deployment, data: Data, profile: str | None, answers: Answers
) -> Iterator[Left]:
    ran = counted_steps(deployment.program, answers)
    for steps in np.unique(ran).tolist():
        part = data.chosen(np.flatnonzero(ran == steps))
        found = analysis.estimate(*shortened(deployment, part, steps), profile)
        yield Left(steps=steps, samples=part.samples, estimate=found)
