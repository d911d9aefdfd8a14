"""The choice of one state scale per population, for weights, threshold, bias and reset together.

On the chip a weight of w adds w * 2**shift to the state, so one number K, state units per real
unit, fixes them all. The search walks a fine grid of K and takes the one with the smallest
estimated error of the membrane, relative to the threshold (`estimate`); docs/design/0002 derives
it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from snn_deploy.ir.maps import Convolution, Dense, LinearMap, to_sparse
from snn_deploy.ir.network import Population, Projection
from snn_deploy.ir.neuron import Fires, ResetKind
from snn_deploy.quantize.fold import source_channel
from snn_deploy.quantize.rounding import bias_grid, on_grid, round_weights, sign_of, weight_range
from snn_deploy.targets import Target, WeightRange

GRID = 64
"""Scales per octave of the plain grid."""

LATTICE = 256
"""Most steps of a weight for which scales that suit a lattice of weights are tried."""

OCTAVES = 6
"""Octaves below the largest provable scale that are searched."""

NEARLY_BEST = 1.05
"""A smaller scale is taken for this factor of mean square error: it leaves more room above."""

PROOF_PRICE = 1.5
"""A provable scale is taken for this factor of mean square error."""

NOTHING = 1e-12
"""Mean square error that counts as none."""

SAMPLED_WEIGHTS = 2**15
"""Weights per projection that the search looks at: whole rows, evenly spread."""

MEMORY = 32.0
"""Most steps over which an error of the drive adds up before the neuron forgets or resets."""

USUAL_RATE = 0.1
"""Share of neurons that send, or of an input's range, where no calibration data tells."""

HEADROOM = 4.0
"""How many thresholds the membrane register must hold at least."""

DEVIATIONS = 8.0
"""Standard deviations of the usual drive that the registers must hold."""

PROOF_MARGIN = 0.98
"""Share of a register that the worst case may fill, for rounding may enlarge it."""

TINY = 1e-300
"""Stands for 0 in a division."""

SIZES = (2.0**-200, 2.0**200)
"""Sizes of numbers that are scaled, far beyond those of float32: their squares stay normal."""

LARGEST_SCALE = 2.0**300
"""Larger scales come from numbers that are all 0."""

CROSSINGS = 256.0
"""Worst-case steps that a membrane without leak must take before it can saturate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a source sends: means per neuron and step over the calibration data."""

    mean: Float[np.ndarray, " pre"]
    power: Float[np.ndarray, " pre"]
    """Mean square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One projection as the search sees it. A row is a target neuron, or a channel of them."""

    name: str
    low: float
    """Smallest weight, real units of the membrane per payload of 1."""

    high: float
    stored: WeightRange
    rows: int
    weight: Float[np.ndarray, " weight"]
    """Weights of the sampled rows."""

    row: Int[np.ndarray, " weight"]
    """Index into `sampled` of the row of each weight."""

    sampled: Int[np.ndarray, " sample"]
    """The rows that are looked at."""

    mean: Float[np.ndarray, " weight"]
    """Mean payload at each weight."""

    power: Float[np.ndarray, " weight"]
    most: Float[np.ndarray, " row"]
    """Largest sum that a row can receive in one step, all rows."""

    least: Float[np.ndarray, " row"]

    @property
    def largest(self) -> float:
        """Largest weight by size."""
        return max(abs(self.low), abs(self.high))

    def per_row(self, values: Float[np.ndarray, " weight"]) -> Float[np.ndarray, " sample"]:
        """Return the sums of `values` over each sampled row."""
        return _summed(self.row, values, len(self.sampled))

    def of_rows(self, per_neuron: Float[np.ndarray, " post"]) -> Float[np.ndarray, " sample"]:
        """Return the mean of a neuron parameter over each sampled row."""
        return per_neuron.reshape(self.rows, -1).mean(axis=1)[self.sampled]


def drive_of(
    projection: Projection,
    *,
    unit: float,
    payload: tuple[int, int],
    activity: Activity,
    target: Target,
    bits: int | None,
) -> Drive:
    """Return what the search needs of a projection.

    Args:
        projection: Its map is Dense, Sparse or Convolution.
        unit: Real value of a payload of 1.
        payload: Smallest and largest payload.
        activity: Of the source, in payloads.
        target: The chip.
        bits: Of a stored weight; None: as many as the target has.
    """
    linear = projection.map
    row, pre = _rows(linear)
    weight = linear.numbers().ravel() * unit
    rows = _row_count(linear)
    kept = _sample(row, rows)
    low, high = float(weight.min(initial=0.0)), float(weight.max(initial=0.0))
    ends = (
        np.minimum(weight * payload[0], weight * payload[1]),
        np.maximum(weight * payload[0], weight * payload[1]),
    )
    sampled, position = np.unique(row[kept], return_inverse=True)
    return Drive(
        name=projection.name,
        low=low,
        high=high,
        stored=weight_range(target, sign_of(low, high), bits),
        rows=rows,
        weight=weight[kept],
        row=position,
        sampled=sampled,
        mean=_at(linear, activity.mean, pre)[kept],
        power=_at(linear, activity.power, pre)[kept],
        least=_summed(row, np.minimum(ends[0], 0), rows),
        most=_summed(row, np.maximum(ends[1], 0), rows),
    )


def _summed(row: np.ndarray, values: np.ndarray, rows: int) -> Float[np.ndarray, " row"]:
    """Return the sums of `values` by row; of no values, numpy would make whole numbers."""
    return np.bincount(row, weights=values, minlength=rows).astype(np.float64)


def _row_count(linear: LinearMap) -> int:
    return linear.out_shape[0] if isinstance(linear, Convolution) else linear.out_size


def _rows(linear: LinearMap) -> tuple[np.ndarray, np.ndarray]:
    """Return for each stored weight its row and its source neuron or source channel."""
    if isinstance(linear, Dense):
        post, pre = np.divmod(np.arange(linear.weight.size), max(1, linear.in_size))
        return post, pre
    if isinstance(linear, Convolution):
        taps = math.prod(linear.weight.shape[2:])
        row = np.repeat(np.arange(linear.weight.shape[0]), linear.weight[0].size)
        return row, np.repeat(source_channel(linear).ravel(), taps)
    sparse = to_sparse(linear, keep_zeros=True)
    return sparse.post, sparse.pre


def _at(linear: LinearMap, per_source: np.ndarray, pre: np.ndarray) -> np.ndarray:
    if isinstance(linear, Convolution):
        per_source = per_source.reshape(linear.source[0], -1).mean(axis=1)
    return per_source[pre]


def _sample(row: np.ndarray, rows: int) -> np.ndarray:
    every = -(-row.size // SAMPLED_WEIGHTS)
    return np.flatnonzero(row % max(1, min(every, rows)) == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One population with everything that its scale must fit."""

    population: Population
    drives: tuple[Drive, ...]
    lowered: tuple[bool, ...]
    """For each bias, whether a clock neuron will carry it."""

    target: Target
    prove: bool = False
    seen: float = 0.0
    """Largest membrane or current that the calibration data caused, real units."""

    def neurons(self, parameter: np.ndarray) -> Float[np.ndarray, " neuron"]:
        """Return a parameter at full length."""
        return np.broadcast_to(parameter, self.population.shape).ravel()

    @property
    def fires(self) -> bool:
        """Whether the population sends anything."""
        return self.population.fires is not Fires.NEVER

    @property
    def levels(self) -> tuple[np.ndarray, ...]:
        """The membrane values that the registers must hold, besides the drive's."""
        population, levels = self.population, [self.population.initial]
        if population.synapse is not None:
            levels.append(population.synapse.initial)
        if population.reset.kind is not ResetKind.NONE:
            levels.append(population.reset.amount)
        if population.floor is not None:
            levels.append(population.floor.value)
        return tuple(levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A scale with the exponent of each projection."""

    scale: float
    """State units per real unit."""

    exponents: Mapping[str, int]
    """Shift of each projection beyond the target's own, by name."""

    error: float
    """Estimated mean square error of the membrane, relative to the threshold."""


def choices(task: Task, count: int) -> list[Choice]:
    """Return up to `count` good scales, the best by estimate first.

    Scales at which the worst case of any input is provably in range win over others for up to
    PROOF_PRICE, and smaller ones over larger ones for up to NEARLY_BEST. The choices differ from
    each other by at least 2 %.
    """
    terms = _Terms.of(task)
    limits = _Limits.of(task)
    tried = [terms.choice(scale) for scale in _grid(task, limits)]
    proven = [c for c in tried if c.scale <= limits.provable]
    if proven and _least(proven) <= _least(tried) * PROOF_PRICE + NOTHING:
        tried = proven
    good = [c for c in tried if c.error <= _least(tried) * NEARLY_BEST + NOTHING]
    chosen = [min(good, key=lambda c: c.scale)]
    for choice in sorted(tried, key=lambda c: (c.error, c.scale)):
        if len(chosen) == count:
            break
        if all(abs(math.log2(choice.scale / c.scale)) > 0.03 for c in chosen):
            chosen.append(choice)
    return chosen


def _least(choices: Sequence[Choice]) -> float:
    return min(choice.error for choice in choices)


def largest_weight_choice(task: Task) -> Choice:
    """Return the scale that gives the largest weight the largest stored number."""
    shift = task.target.weights.shift.value
    weights = [_full_scale(d, shift) for d in task.drives if d.largest]
    scale = min([_Limits.of(task).highest, *weights])
    return _Terms.of(task).choice(scale)


def _full_scale(drive: Drive, shift: int) -> float:
    """Return the scale at which the largest weight becomes the largest stored number."""
    sides = [
        limit / value
        for limit, value in ((drive.stored.high, drive.high), (drive.stored.low, drive.low))
        if value
    ]
    return min(sides) * 2.0**shift


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """The scales worth a look."""

    lowest: float
    provable: float
    """Up to here no input can drive a state out of its register."""

    highest: float
    """Up to here every number fits its register, with room for the usual drive."""

    @classmethod
    def of(cls, task: Task) -> "_Limits":
        target, population = task.target, task.population
        shift, exponent = target.weights.shift.value, target.weights.exponent.high
        threshold = float(np.abs(population.threshold).max()) if task.fires else 0.0
        level = max([threshold, *(float(np.abs(x).max()) for x in task.levels)])
        rooms = [target.highest_state / max(HEADROOM * level + _usual(task), 2 * task.seen, TINY)]
        rooms += [_full_scale(d, shift) * 2.0**exponent for d in task.drives if d.largest]
        rooms += [_bias_room(target, lowered) / max(b, TINY) for b, lowered in _bias_sizes(task)]
        rooms.append(target.highest_threshold / max(threshold, TINY))
        highest = min(rooms)
        if highest > LARGEST_SCALE:  # no number has a size here
            highest = 2.0 ** (target.states.membrane.bits - 2)
        sums = max((float(s.max(initial=0)) for s in _sums(task)), default=0.0)
        provable = PROOF_MARGIN * min(
            target.highest_state / max(_worst(task), TINY),
            (target.highest_sum << shift) / max(sums, TINY),
        )
        provable = min(provable, highest)
        return cls(
            lowest=provable / 2.0**OCTAVES,
            provable=provable,
            highest=provable if task.prove else highest,
        )


def _bias_sizes(task: Task) -> Iterator[tuple[float, bool]]:
    for bias, lowered in zip(task.population.biases, task.lowered, strict=True):
        yield float(np.abs(bias.value).max()), lowered


def _bias_room(target: Target, lowered: bool) -> float:
    if not lowered:
        return float(target.biases.mantissa.high << target.biases.exponent.high)
    stored = min(target.weights.excitatory.high, -target.weights.inhibitory.low)
    return float(stored << (target.weights.exponent.high + target.weights.shift.value))


def _sums(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest sum of weights, up and down, that each neuron can receive in a step."""
    size = task.population.size
    up, down = np.zeros(size), np.zeros(size)
    for drive in task.drives:
        up += np.repeat(drive.most, size // drive.rows)
        down -= np.repeat(drive.least, size // drive.rows)
    for bias, lowered in zip(task.population.biases, task.lowered, strict=True):
        if lowered:
            up += np.maximum(task.neurons(bias.value), 0)
            down += np.maximum(-task.neurons(bias.value), 0)
    return up, down


def _memory(task: Task, most: float = MEMORY) -> Float[np.ndarray, " neuron"]:
    """Return over how many steps a membrane adds up a constant drive."""
    population = task.population
    steps = geometric(task.neurons(population.decay), most)
    if population.synapse is not None:
        steps = steps * geometric(task.neurons(population.synapse.decay), most)
    return np.minimum(steps, most)


def geometric(decay: np.ndarray, most: float = MEMORY) -> Float[np.ndarray, "..."]:
    """Return 1 / (1 - decay), at most `most`: over how many steps a state adds up what comes."""
    with np.errstate(divide="ignore"):
        return np.minimum(1 / np.maximum(1 - np.abs(decay), 1e-12), most)


def _usual(task: Task) -> float:
    """Return a large but usual membrane: some standard deviations of the drive, and biases."""
    memory = _memory(task)
    largest = 0.0
    for drive in task.drives:
        steps = drive.of_rows(memory)
        deviation = np.sqrt(drive.per_row(drive.weight**2 * drive.power) * steps)
        mean = np.abs(drive.per_row(drive.weight * drive.mean)) * steps
        largest += float((DEVIATIONS * deviation + mean).max(initial=0))
    for bias in task.population.biases:
        largest += float((np.abs(task.neurons(bias.value)) * memory).max())
    return largest


def _worst(task: Task) -> float:
    """Return the largest state that any input can cause; a membrane without leak: see CROSSINGS."""
    population = task.population
    up, down = _sums(task)
    for bias, lowered in zip(population.biases, task.lowered, strict=True):
        if not lowered:
            up = up + np.maximum(task.neurons(bias.value), 0)
            down = down + np.maximum(-task.neurons(bias.value), 0)
    step = np.maximum(up, down)
    if population.synapse is not None:
        step = step * geometric(task.neurons(population.synapse.decay), 4096.0)
    membrane = step * geometric(task.neurons(population.decay), CROSSINGS)
    return float(membrane.max(initial=0.0)) + float(np.abs(population.threshold).max())


def _grid(task: Task, limits: _Limits) -> list[float]:
    """Return the scales to try.

    A plain grid of short binary fractions, so that dyadic weights fit exactly; scales at which the
    largest weight of a projection is a whole number of steps, so that weights on any lattice do;
    and next to each of these one at which the largest threshold is a whole mantissa.
    """
    first, last = (math.floor(math.log2(end)) for end in (limits.lowest, limits.highest))
    plain = [
        math.ldexp(1 + n / GRID, octave) for octave in range(first, last + 1) for n in range(GRID)
    ]
    shift = task.target.weights.shift.value
    for drive in task.drives:
        plain += _whole_largest(drive, shift, task.target.weights.exponent.high)
    threshold = float(np.abs(task.population.threshold).max()) if task.fires else 0.0
    if threshold:
        lattice = float(1 << task.target.thresholds.shift.value)
        plain += [max(1.0, np.rint(k * threshold / lattice)) * lattice / threshold for k in plain]
    inside = sorted({float(k) for k in plain if limits.lowest <= k <= limits.highest})
    return inside or [limits.highest]


def _whole_largest(drive: Drive, shift: int, exponents: int) -> list[float]:
    """Return the scales that make the largest weight a whole number of steps, above half of all.

    With more steps than LATTICE the plain grid is as good.
    """
    steps = max(drive.stored.high, -drive.stored.low) // drive.stored.step
    if not drive.largest or steps > LATTICE:
        return []
    unit = drive.stored.step * 2.0**shift / drive.largest
    return [
        unit * n * 2.0**exponent
        for n in range(steps // 2 + 1, steps + 1)
        for exponent in range(exponents + 1)
    ]


@dataclass(slots=True, kw_only=True)
class _Terms:
    """The estimate of the error at a scale, with what does not depend on the scale."""

    task: Task
    memory: Float[np.ndarray, " neuron"]
    reference: Float[np.ndarray, " neuron"]
    """What errors are compared with: the threshold, or where there is none the usual drive."""

    known: dict[tuple[str, float], float]
    """Error of a projection's weights, by its name and stored units per real unit."""

    @classmethod
    def of(cls, task: Task) -> "_Terms":
        memory = _memory(task)
        signal = np.zeros(task.population.size)
        for drive in task.drives:
            steps = drive.of_rows(memory)
            power = drive.per_row(drive.weight**2 * drive.power) * steps
            mean = (drive.per_row(drive.weight * drive.mean) * steps) ** 2
            signal += float(np.mean(power + mean)) if len(steps) else 0.0
        for bias in task.population.biases:
            signal += (task.neurons(bias.value) * memory) ** 2
        reference = np.sqrt(signal)
        if task.fires:
            threshold = task.neurons(task.population.threshold)
            reference = np.where(threshold > 0, threshold, reference)
        reference = np.where(reference >= SIZES[0], reference, 1.0)
        return cls(task=task, memory=memory, reference=reference, known={})

    def choice(self, scale: float) -> Choice:
        """Return `scale` with the best exponents for it."""
        exponents, error = {}, self._levels(scale) + self._truncation(scale)
        for drive in self.task.drives:
            exponents[drive.name], part = self._exponent(drive, scale)
            error += part
        return Choice(scale=scale, exponents=exponents, error=error)

    def _exponent(self, drive: Drive, scale: float) -> tuple[int, float]:
        """Return the exponent with the smaller error: all weights just fit, or some are clipped."""
        if not drive.largest:
            return 0, 0.0
        rule = self.task.target.weights
        unit = 2.0**rule.shift.value
        needed = math.ceil(math.log2(max(1.0, scale / _full_scale(drive, rule.shift.value))))
        tried = [e for e in (needed, needed - 1) if 0 <= e <= rule.exponent.high]
        errors = {e: self._weights(drive, scale / (unit * 2.0**e)) for e in tried}
        best = min(tried, key=lambda e: errors[e])
        return best, errors[best]

    def _weights(self, drive: Drive, stored_units: float) -> float:
        """Return the error of the membrane from rounded weights.

        What a row's errors add up to on average grows with the steps a membrane remembers, what
        they scatter grows with the root of it.
        """
        key = drive.name, stored_units
        if key not in self.known:
            kept, _ = round_weights(drive.weight, stored_units, drive.stored)
            error = kept / stored_units - drive.weight
            steps, reference = drive.of_rows(self.memory), drive.of_rows(self.reference)
            drift = drive.per_row(error * drive.mean) * steps
            scatter = drive.per_row(error**2 * drive.power) * steps
            self.known[key] = float(np.mean((drift**2 + scatter) / reference**2))
        return self.known[key]

    def _levels(self, scale: float) -> float:
        """Return the error from the rounded threshold, reset, floor, initial states and biases."""
        task, population = self.task, self.task.population
        error = np.zeros(population.size)
        if task.fires:
            lattice = 1 << task.target.thresholds.shift.value
            error += self._rounding(population.threshold, scale, lattice)
        for level in task.levels:
            error += self._rounding(level, scale, 1)
        for bias, lowered in zip(population.biases, task.lowered, strict=True):
            grid = bias_grid(task.target, float(np.abs(bias.value).max()) * scale, lowered)
            error += self._rounding(bias.value, scale, grid) * self.memory**2
        return float(np.mean(error))

    def _rounding(self, value: np.ndarray, scale: float, grid: int) -> np.ndarray:
        real = self.task.neurons(value)
        return ((on_grid(real * scale, grid) / scale - real) / self.reference) ** 2

    def _truncation(self, scale: float) -> float:
        """Return the error from decays that round toward zero: half a state unit per step."""
        leaks = self.task.neurons(self.task.population.decay) < 1
        synapse = self.task.population.synapse
        if synapse is not None and np.any(synapse.decay):
            leaks = np.ones_like(leaks)
        lost = np.where(leaks, 0.5 * self.memory / scale, 0.0)
        return float(np.mean((lost / self.reference) ** 2))
