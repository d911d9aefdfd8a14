"""What a setting gives on some samples: accuracy, energy, memory, latency."""

import hashlib
import math
import pickle
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from snn_deploy.deploy import early_estimate
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.exporting import unmapped
from snn_deploy.deploy.mapped import mapped
from snn_deploy.deploy.request import Request
from snn_deploy.deploy.tuning.setting import Setting
from snn_deploy.deploy.workers import Job
from snn_deploy.errors import DeployError, MemoryShortError, OptionError
from snn_deploy.ir.program import Program, Projection, Sign
from snn_deploy.targets import find_target


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a program does on some samples."""

    correct: int
    samples: int
    energy: float
    """Mean per sample [J]."""

    energy_low: float
    energy_high: float
    """With the lowest and highest published prices [J]."""

    memory: int
    """Bits of all stored weights, each projection at the width that its weights use."""

    latency: float
    """Steps of the chip from the first input of a sample to its answer, mean per sample."""

    steps: float
    """Steps of the network that a sample ran, mean per sample."""

    digest: str
    """Of the program."""

    @property
    def accuracy(self) -> float:
        """Right answers [%]."""
        return 100 * self.correct / self.samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """All that a setting is measured with."""

    model: Any
    content: bytes | None
    """What the file `model` holds; None: it is a model in memory."""

    request: Request
    calibrate: Data
    data: Data
    """Labelled samples."""

    profile: str | None
    """Table of prices; None: the target's."""


def deployed(bench: Bench, setting: Setting) -> Deployment:
    """Return the deployment that an export with a setting makes, with its map of cores.

    Raises:
        DeployError: there is none.
    """
    request = setting.applied(bench.request)
    target = find_target(request.target)
    found, data = unmapped(
        bench.model, request, target, calibrate=bench.calibrate, content=bench.content
    )
    return mapped(found, data)


def measured(deployment: Deployment, data: Data, profile: str | None) -> Measured:
    """Return what a deployment does on labelled samples.

    Raises:
        OptionError: the target names no table of prices, and none is given.
        DataError: the data does not suit the program.
    """
    assert data.label is not None
    program = deployment.program
    answers = early_estimate.answers_of(deployment, data)
    energy = early_estimate.estimate(deployment, data, profile, answers)
    if math.isnan(energy.value):
        raise OptionError(
            "nothing that this network does has a price in this table",
            where="--profile",
            fix="--profile loihi1-sanafe",
        )
    return Measured(
        correct=int(np.count_nonzero(answers.predicted == data.label)),
        samples=data.samples,
        energy=energy.value,
        energy_low=energy.low,
        energy_high=energy.high,
        memory=memory(program),
        latency=float(np.mean(answers.steps * program.period + program.lag)),
        steps=float(np.mean(answers.steps)),
        digest=program.digest,
    )


def memory(program: Program) -> int:
    """Return the bits of all stored weights; a kernel is stored once."""
    return sum(p.map.numbers().size * width(p) for p in program.projections)


def width(projection: Projection) -> int:
    """Return the bits that hold each weight of a projection: from its lowest to its highest one."""
    weights = np.abs(projection.map.numbers().astype(np.int64))
    used = int(np.bitwise_or.reduce(weights, axis=None)) if weights.size else 0
    if not used:
        return 0
    lowest = (used & -used).bit_length() - 1
    return used.bit_length() - lowest + (projection.sign is Sign.MIXED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Job["tuple[int, Measured | DeployError]"]):
    """A setting to measure, as a worker gets it."""

    called: ClassVar[str] = "trial"
    places: ClassVar[str] = "trials"
    advice: ClassVar[str] = "fewer --samples need less memory; fewer workers too"

    number: int
    setting: Setting
    bench: bytes
    """Pickled."""

    digest: str
    """Of `bench`: a worker unpacks it once."""

    @property
    def place(self) -> str:
        """Its number."""
        return str(self.number)

    def run(self) -> "tuple[int, Measured | DeployError]":
        """Return its number, and what its setting gives or why there is no such program.

        Raises:
            MemoryShortError: that is no property of the setting.
        """
        bench = _unpacked(self.bench, self.digest)
        try:
            return self.number, measured(deployed(bench, self.setting), bench.data, bench.profile)
        except MemoryShortError:
            raise
        except DeployError as problem:
            return self.number, problem


def packed(bench: Bench) -> tuple[bytes, str]:
    """Return a bench as it is sent to workers, and its digest."""
    content = pickle.dumps(bench)
    return content, hashlib.sha256(content).hexdigest()


class _Kept:
    """The last bench that was sent."""

    digest = ""
    bench: Bench | None = None


def _unpacked(content: bytes, digest: str) -> Bench:
    if _Kept.bench is None or _Kept.digest != digest:
        bench = pickle.loads(content)  # noqa: S301 - our own process pickled it
        assert isinstance(bench, Bench)
        _Kept.bench, _Kept.digest = bench, digest
    return _Kept.bench
