"""One run of an integer program in torch, state for state what the reference simulator computes.

Populations that no loop joins run one after the other over all steps at once, so that a whole
span of steps is one matrix product.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snn_deploy.ir.graph import step_order
from snn_deploy.ir.maps import Convolution, Sparse
from snn_deploy.ir.program import Program, Projection
from snn_deploy.quantize.torch_neurons import Neurons, Numbers

EXACT = 2**24
"""Sums of whole numbers up to here are exact in float32, in any order."""


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
        neurons[name] = Neurons.start(
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
