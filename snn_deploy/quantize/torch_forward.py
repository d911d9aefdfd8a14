"""One run of an integer program in torch, state for state what the reference simulator computes.

Populations that no loop joins run one after the other over all steps at once, so that a whole
span of steps is one matrix product.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arithmetic import Arithmetic, Register
from snn_deploy.ir.graph import step_order
from snn_deploy.ir.maps import Convolution, Sparse
from snn_deploy.ir.neuron import Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import (
    Bias,
    Current,
    Floor,
    Population,
    Program,
    Projection,
    Reset,
)
from snn_deploy.quantize.torch_gradients import as_tensor, decayed, held, spikes

EXACT = 2**24
"""Sums of whole numbers up to here are exact in float32, in any order."""

MATRIX = 2**26
"""Largest matrix that single synapses are written into [numbers]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What of a population may be trained, in state units."""

    threshold: Tensor
    amount: Tensor
    """Of the reset."""

    biases: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one population did: whole numbers in float64 [step, sample, *shape]."""

    membrane: Tensor
    payload: Tensor


def forward(
    program: Program,
    weights: Mapping[str, Tensor],
    numbers: Mapping[str, Numbers],
    inputs: Mapping[str, Tensor],
) -> dict[str, Record]:
    """Return what every population does.

    Args:
        program: Without lags; `check_trainable` has passed it.
        weights: By projection, its stored numbers in the shape of its map's.
        numbers: By population.
        inputs: By input, integer payloads in float64 [step, sample, *shape].
    """
    sent = dict(inputs)
    records: dict[str, Record] = {}
    for block in blocks(program):
        records |= _run(program, block, weights, numbers, sent)
        sent |= {name: records[name].payload for name in block}
    return records


def blocks(program: Program) -> tuple[tuple[str, ...], ...]:
    """Return the populations in groups that loops join, each after all that feed it.

    Within a group they stand in an order in which a step can be computed.
    """
    order = step_order(program)
    reached = {name: _reached(program, name) for name in order}
    groups: list[tuple[str, ...]] = []
    for name in order:
        if not any(name in group for group in groups):
            joined = {other for other in reached[name] if name in reached[other]} | {name}
            groups.append(tuple(other for other in order if other in joined))
    waiting, done = groups, []
    while waiting:
        blocked = {name for group in waiting for name in group}
        ready = [g for g in waiting if not (_sources(program, g) & blocked) - set(g)]
        done += ready
        waiting = [group for group in waiting if group not in ready]
    return tuple(done)


def _reached(program: Program, name: str) -> set[str]:
    """Return the populations that spikes of `name` can reach."""
    found: set[str] = set()
    front = {name}
    while front:
        front = {p.target for p in program.projections if p.source in front} - found
        found |= front
    return found


def _sources(program: Program, group: Sequence[str]) -> set[str]:
    return {p.source for p in program.projections if p.target in group}


def _run(
    program: Program,
    block: Sequence[str],
    weights: Mapping[str, Tensor],
    numbers: Mapping[str, Numbers],
    sent: Mapping[str, Tensor],
) -> dict[str, Record]:
    """Return what the populations of one block do, step by step; the others have run."""
    given = next(iter(sent.values()))
    steps, samples = given.shape[:2]
    neurons, inside = {}, []
    for name in block:
        population = program.population(name)
        full = (steps, samples, *population.shape)
        drive = torch.zeros(full, dtype=torch.float64, device=given.device)
        for p in program.into(name):
            parts = list(_parts(program, p, weights[p.name]))
            if p.source in block:
                inside += parts
                continue
            for part in parts:
                arriving = _applied(part, sent[p.source]).reshape(full)
                drive = drive + _later(arriving, part.delay)
        neurons[name] = _Neurons.start(
            population, numbers[name], program.arithmetic, drive.unbind(0)
        )
    for step in range(steps):
        for name in block:
            state = neurons[name]
            drive = state.drive[step]
            for part in inside:
                if part.projection.target == name and step >= part.delay:
                    payload = neurons[part.projection.source].payloads[step - part.delay]
                    drive = drive + _applied(part, payload[None]).reshape(drive.shape)
            state.advance(drive, step)
    return {
        name: Record(membrane=torch.stack(n.membranes), payload=torch.stack(n.payloads))
        for name, n in neurons.items()
    }


def _later(arriving: Tensor, delay: int) -> Tensor:
    """Return what arrives [step, ...] that many steps later."""
    if delay == 0:
        return arriving
    early = torch.zeros_like(arriving[:1]).expand(delay, *arriving.shape[1:])
    return torch.cat([early, arriving])[: len(arriving)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The synapses of a projection that have one delay."""

    projection: Projection
    weight: Tensor
    source: Tensor | None
    """1 for the sources that they start from, 0 for the others [*shape]; None: all of them."""

    delay: int
    extent: tuple[int, int]
    """Smallest and largest payload that comes."""


def _parts(program: Program, projection: Projection, weight: Tensor) -> Iterator[_Part]:
    """Yield a part for each distinct delay of a projection."""
    delay, linear = projection.delay, projection.map
    extent = program.payload_range(projection.source)

    def part(weight: Tensor, steps: int, source: Tensor | None = None) -> _Part:
        return _Part(
            projection=projection, weight=weight, source=source, delay=steps, extent=extent
        )

    if delay.ndim == 0:
        yield part(weight, int(delay))
        return
    for steps in np.unique(delay):
        mask = torch.tensor(delay == steps, device=weight.device)
        if delay.shape == (linear.in_size,):
            yield part(weight, int(steps), mask.reshape(linear.in_shape))
        else:
            yield part(weight * mask, int(steps))


def _applied(part: _Part, payload: Tensor) -> Tensor:
    """Return what payloads [step, sample, *shape] add to the state [step, sample, neuron].

    float32 multiplies faster and is as exact while no sum can leave EXACT; the accelerators' is
    not, whose kernels may drop bits.
    """
    projection, weight = part.projection, part.weight
    linear = projection.map
    if isinstance(linear, Sparse):
        weight = _matrix(linear, weight)
    fan_in = weight[0].numel()
    largest = max(abs(end) for end in part.extent) * float(weight.detach().abs().max())
    short = fan_in * largest < EXACT and payload.device.type == "cpu"
    dtype = torch.float32 if short else torch.float64
    values = payload.to(dtype)
    lead = values.shape[:2]
    if part.source is not None:
        values = values.reshape(*lead, *linear.in_shape) * part.source
    if isinstance(linear, Convolution):
        top, bottom, left, right = linear.padding
        padded = functional.pad(values.reshape(-1, *linear.source), (left, right, top, bottom))
        made = functional.conv2d(
            padded,
            weight.to(dtype),
            stride=linear.stride,
            dilation=linear.dilation,
            groups=linear.groups,
        )
    else:
        made = values.reshape(-1, linear.in_size) @ weight.to(dtype).T
    return made.to(torch.float64).reshape(*lead, -1) * float(1 << projection.shift)


def _matrix(linear: Sparse, weight: Tensor) -> Tensor:
    """Return single synapses as a matrix [post, pre]."""
    matrix = torch.zeros(
        (linear.out_size, linear.in_size), dtype=weight.dtype, device=weight.device
    )
    post, pre = (torch.tensor(np.array(index, np.int64)) for index in (linear.post, linear.pre))
    return matrix.index_put((post.to(weight.device), pre.to(weight.device)), weight)


@dataclass(slots=True, kw_only=True)
class _Neurons:
    """The registers of one population, whole numbers in float64 [sample, *shape]."""

    population: Population
    numbers: Numbers
    arithmetic: Arithmetic
    drive: Sequence[Tensor]
    """What arrives from other blocks, by step."""

    current: Tensor | None
    membrane: Tensor
    decay: Tensor
    """Factor on the membrane."""

    current_decay: Tensor | None
    floor: Tensor | None
    membranes: list[Tensor]
    payloads: list[Tensor]

    @classmethod
    def start(
        cls,
        population: Population,
        numbers: Numbers,
        arithmetic: Arithmetic,
        drive: Sequence[Tensor],
    ) -> "_Neurons":
        """Return neurons before their first step."""
        one, current, floor = 1 << arithmetic.decay_bits, population.current, population.floor

        def real(parameter: np.ndarray) -> Tensor:
            return as_tensor(parameter).to(drive[0].device)

        def initial(parameter: np.ndarray) -> Tensor:
            return (torch.zeros_like(drive[0]) + real(parameter)).detach()

        return cls(
            population=population,
            numbers=numbers,
            arithmetic=arithmetic,
            drive=drive,
            current=None if current is None else initial(current.initial),
            membrane=initial(population.initial),
            decay=real(population.decay) / one,
            current_decay=None if current is None else real(current.decay) / one,
            floor=None if floor is None else real(floor.value),
            membranes=[],
            payloads=[],
        )

    def advance(self, drive: Tensor, step: int) -> None:
        """Compute one step: the lines of `ir/program.py`."""
        population = self.population
        if self.arithmetic.accumulator is not None:
            drive = held(drive, self.arithmetic.accumulator)
        integrated = drive
        if population.current is not None:
            assert self.current is not None
            assert self.current_decay is not None
            old = self.current
            u = self._biased(decayed(old, self.current_decay) + drive, State.CURRENT, step)
            self.current = held(u, self.arithmetic.current)
            integrated = self.current if population.current.reads is Reads.NEW else old
        v = self._biased(decayed(self.membrane, self.decay) + integrated, State.MEMBRANE, step)
        v = held(v, self.arithmetic.membrane)
        if population.reset.when is When.NEXT and self.payloads:
            v = self._after_reset(v, self.payloads[-1])
        v = self._above_floor(v, FloorWhen.BEFORE_TEST)
        payload = spikes(
            v,
            self.numbers.threshold,
            fires=population.fires,
            compare=population.compare,
            most=population.max_spikes,
        )
        if population.reset.when is When.NOW:
            v = self._after_reset(v, payload)
        self.membrane = self._above_floor(v, FloorWhen.AFTER_RESET)
        self.membranes.append(self.membrane)
        self.payloads.append(payload)

    def _biased(self, value: Tensor, into: State, step: int) -> Tensor:
        for bias, number in zip(self.population.biases, self.numbers.biases, strict=True):
            if bias.into is into and step >= bias.start:
                value = value + number
        return value

    def _after_reset(self, v: Tensor, payload: Tensor) -> Tensor:
        """Return the membrane after spikes; no gradient flows through the spikes of a reset.

        It would reward a neuron for having fired too late.
        """
        kind, fired = self.population.reset.kind, payload.detach()
        if kind is ResetKind.NONE or self.population.fires is Fires.NEVER:
            return v
        if kind is ResetKind.SUBTRACT:
            return held(v - fired * self.numbers.amount, self.arithmetic.membrane)
        return held(torch.where(fired != 0, self.numbers.amount, v), self.arithmetic.membrane)

    def _above_floor(self, v: Tensor, when: FloorWhen) -> Tensor:
        rule = self.population.floor
        if rule is None or self.floor is None or rule.when is not when:
            return v
        return torch.maximum(v, self.floor)


UNDERSTOOD: Mapping[type[Any], frozenset[str]] = {
    Program: frozenset(
        [
            "name",
            "target",
            "arithmetic",
            "inputs",
            "populations",
            "projections",
            "outputs",
            "boundary",
            "dt",
        ]
    ),
    Arithmetic: frozenset(["current", "membrane", "decay_bits", "accumulator"]),
    Register: frozenset(["bits", "overflow"]),
    Population: frozenset(
        [
            "name",
            "shape",
            "decay",
            "current",
            "fires",
            "threshold",
            "compare",
            "max_spikes",
            "reset",
            "floor",
            "biases",
            "initial",
            "lag",
            "role",
            "unit",
            "unit_factor",
            "origin",
        ]
    ),
    Current: frozenset(["decay", "reads", "initial"]),
    Reset: frozenset(["kind", "amount", "when"]),
    Floor: frozenset(["value", "when"]),
    Bias: frozenset(["value", "into", "start"]),
    Projection: frozenset(["name", "source", "target", "map", "shift", "delay", "sign"]),
}
"""What `forward` computes of a program, by record; anything else must be left at its default."""


def check_trainable(program: Program) -> None:
    """Refuse what `forward` does not compute.

    Raises:
        UnsupportedError: with the population or projection, and what it has.
    """
    for owner, where in _records(program):
        beyond = list(_set_fields(owner, without=UNDERSTOOD[type(owner)]))
        if beyond:
            raise _refused(f"its {' and '.join(beyond)}", where)
    for population in program.populations:
        if population.fires not in (Fires.NEVER, Fires.BINARY, Fires.COUNT):
            raise _refused(f"its {population.fires.value} spikes", population.name)
        if population.reset.when not in (When.NOW, When.NEXT):
            raise _refused(f"its {population.reset.when.value} reset", population.name)
    for p in program.projections:
        linear = p.map
        if isinstance(linear, Sparse) and linear.out_size * linear.in_size > MATRIX:
            raise _refused(f"its {linear.out_size} x {linear.in_size} single synapses", p.name)


def _records(program: Program) -> Iterator[tuple[Any, str]]:
    yield program, program.name
    yield program.arithmetic, program.name
    yield program.arithmetic.current, program.name
    yield program.arithmetic.membrane, program.name
    if program.arithmetic.accumulator is not None:
        yield program.arithmetic.accumulator, program.name
    for population in program.populations:
        parts = (population.current, population.reset, population.floor)
        for part in (population, *parts, *population.biases):
            if part is not None:
                yield part, population.name
    for projection in program.projections:
        yield projection, projection.name


def _set_fields(owner: Any, *, without: frozenset[str]) -> Iterator[str]:
    """Yield the fields of a record, others than those `without`, that are not at their default."""
    for entry in fields(owner):
        if entry.name in without:
            continue
        make = entry.default_factory
        default = entry.default if make is MISSING else make()
        if default is MISSING or not np.array_equal(getattr(owner, entry.name), default):
            yield entry.name


def _refused(what: str, where: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} cannot be trained as integers",
        where=where,
        fix="compile_network with Options(weight_bits=...), which trains nothing",
    )
