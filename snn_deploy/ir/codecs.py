"""Encoders and decoders: how values become steps, and records become answers.

They are part of the model: the same image through another encoder is another network.
"""

import math
from dataclasses import dataclass, fields, replace
from enum import Enum

import numpy as np
from jaxtyping import Float, Int, Num, UInt8

from snn_deploy.errors import DataError
from snn_deploy.ir.limits import MOST_STEPS, WORD_HIGH, WORD_LOW, check_room
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.trace import PopulationTrace
from snn_deploy.ir.weighting import Weighting


class Encode(Enum):
    """How a value becomes a sequence of steps."""

    RECORDED = "recorded"
    """The data has steps already: spikes, events per bin or currents."""

    CURRENT = "current"
    """The same value in every step."""

    RATE = "rate"
    """In each step a spike with the value as probability, from a stated generator."""

    LATENCY = "latency"
    """One spike, the larger the value in 0..1 the earlier: `ir.latency.linear_levels`."""


LARGEST_SEED = 2**63
"""Bound of a seed: files hold no larger numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How the values of a data set become the payloads that enter a network."""

    how: Encode = Encode.RECORDED
    steps: int | None = None
    """Steps per sample of the other encoders; RECORDED data brings its own."""

    seed: int = 0
    """Of the RATE generator."""

    low: int = 0
    """Smallest integer payload that may enter the program."""

    high: int = 1
    """Largest integer payload that may enter the program."""

    unit: float = 1.0
    """Real value of an integer payload of 1: the program gets rint(value / unit)."""

    def __post_init__(self) -> None:
        for wrong, what, fix in (
            (
                self.steps is not None and not 1 <= self.steps <= MOST_STEPS,
                f"{self.steps} steps per sample",
                f"--steps T, a number of 1 to {MOST_STEPS}",
            ),
            (
                not 0 <= self.seed < LARGEST_SEED,
                f"a seed of {self.seed}",
                f"--seed N, a number of 0 to {LARGEST_SEED - 1}",
            ),
            (
                not WORD_LOW <= self.low <= self.high <= WORD_HIGH,
                f"payloads from {self.low} to {self.high}",
                "--input-range LOW:HIGH, the lower end first and both in 32 bits",
            ),
            (
                not (math.isfinite(self.unit) and self.unit > 0),
                f"a unit of {self.unit:g}",
                "--input-unit U, a number above 0",
            ),
        ):
            if wrong:
                raise DataError(f"no encoder has {what}", fix=fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingChanges:
    """Fields of an encoding that a user states; None leaves what the network says."""

    how: Encode | None = None
    steps: int | None = None
    seed: int | None = None
    low: int | None = None
    high: int | None = None
    unit: float | None = None

    def applied(self, encoding: Encoding) -> Encoding:
        """Return `encoding` with these changes.

        Raises:
            DataError: no encoder has such a value.
        """
        stated = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(encoding, **{k: v for k, v in stated.items() if v is not None})


PROBABILITY_BITS = 24
"""Resolution of a spike's probability: 2**-24, that of a float32 in 0..1."""


def encode_current(
    values: Num[np.ndarray, "sample ..."], steps: int
) -> Num[np.ndarray, "sample step ..."]:
    """Return `values` repeated in each of `steps` steps.

    Raises:
        DataError: there is no memory for so many.
    """
    check_room("the encoded data", (*values.shape, steps), values.itemsize)
    return np.repeat(values[:, None], steps, axis=1)


def encode_rate(
    values: Float[np.ndarray, "sample ..."],
    steps: int,
    seed: int,
    *,
    numbers: Int[np.ndarray, " sample"] | None = None,
    stream: int = 0,
) -> UInt8[np.ndarray, "sample step ..."]:
    """Return Bernoulli spikes: in each step 1 with probability `values`, else 0.

    Sample n draws from its own generator, numpy's PCG64 seeded by `SeedSequence([seed, n])`, one
    raw 64-bit word per step and value in C order; its upper 24 bits are compared with
    rint(value * 2**24). So a sample's spikes depend neither on its batch nor on numpy's
    floating-point routines.

    Args:
        values: Probabilities, 0..1.
        steps: Steps per sample.
        seed: Of the whole data set.
        numbers: n of each sample in its data set; by default 0, 1, 2, ...
        stream: Number of the input, where a network has several; from 1 on it joins the seed,
            as `SeedSequence([seed, n, stream])`, so that inputs do not fire together.

    Raises:
        DataError: a value lies outside 0..1, or there is no memory for so many steps.
    """
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise DataError(
            f"a rate lies in 0..1, the values in {values.min():g}..{values.max():g}",
            fix="divide pixels of 0..255 by 255 first",
        )
    check_room("the encoded data", (*values.shape, steps), 1)
    check_room("the random numbers of a sample", (*values.shape[1:], steps), 8)
    bound = np.rint(values.astype(np.float64) * 2**PROBABILITY_BITS).astype(np.uint64)
    spikes = np.empty((values.shape[0], steps, *values.shape[1:]), np.uint8)
    chosen = np.arange(len(bound)) if numbers is None else numbers
    for sample, (number, limit) in enumerate(zip(chosen, bound, strict=True)):
        entropy = [seed, int(number), stream] if stream else [seed, int(number)]
        generator = np.random.PCG64(np.random.SeedSequence(entropy))
        raw = generator.random_raw(steps * limit.size) >> np.uint64(64 - PROBABILITY_BITS)
        spikes[sample] = raw.reshape(steps, *limit.shape) < limit
    return spikes


def needs(decode: Decode) -> State:
    """Return the state that a decoder reads."""
    return State.PAYLOAD if decode.spiking else State.MEMBRANE


def decode(
    trace: PopulationTrace,
    how: Decode,
    start: int,
    steps: int,
    weights: Weighting | None = None,
) -> Float[np.ndarray, "sample ..."]:
    """Return one number per neuron from the steps `start` to `start + steps` of a trace.

    Of integers every decoder but a mean is exact, and so is a mean's sum.

    Args:
        trace: The record of the population.
        how: What is read.
        start: First step that counts.
        steps: Steps that count.
        weights: Of each of them, for the decoders that need them.

    Raises:
        ValueError: the trace does not hold the state that `how` reads, or weights are missing.
        DataError: there are not as many weights as steps.
    """
    record = trace.state(needs(how))
    if record is None:
        raise ValueError(f"{trace.name}: {needs(how).value} was not recorded")
    if how.weighted:
        return _weighted(record[:, start : start + steps], how, weights)
    window = record[:, start : start + steps].astype(np.float64)
    if how is Decode.COUNT:
        return window.sum(axis=1)
    if how is Decode.MEMBRANE_END:
        return window[:, -1]
    if how is Decode.MEMBRANE_MEAN:
        return window.mean(axis=1)
    if how is Decode.MEMBRANE_MAX:
        return window.max(axis=1)
    fired = window != 0
    first = np.where(fired.any(axis=1), fired.argmax(axis=1), steps)
    return -first.astype(np.float64)


def _weighted(
    window: Num[np.ndarray, "sample step ..."], how: Decode, weights: Weighting | None
) -> Float[np.ndarray, "sample ..."]:
    """Return the weighted sum of a record over its steps, in 64-bit integers where it has any."""
    if weights is None:
        raise ValueError(f"{how.value} needs a weight for each step")
    if len(weights.values) != window.shape[1]:
        raise DataError(
            f"the answer weighs {len(weights.values)} steps, the samples have {window.shape[1]}",
            fix="give samples of as many steps as the network was trained with",
        )
    kind = np.int64 if window.dtype.kind in "iu" else np.float64
    window = window.astype(kind)
    if how is Decode.SPIKE_TIME:
        fired = window != 0
        window = (fired & (fired.cumsum(axis=1) == 1)).astype(kind)
    total = np.tensordot(window, np.array(weights.values, kind), axes=([1], [0]))
    return np.ldexp(total.astype(np.float64), weights.exponent)


def predict(answer: Float[np.ndarray, "sample ..."]) -> np.ndarray:
    """Return the class with the largest answer; of equal ones the lowest: [sample]."""
    return answer.reshape(answer.shape[0], -1).argmax(axis=1)
