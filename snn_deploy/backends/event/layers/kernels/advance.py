"""The compiled loop of layers: each runs all steps of a stretch before the next one begins."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from snn_deploy.backends.event.arithmetic import as32, compiled, entry
from snn_deploy.backends.event.layers.kernels.neurons import Desk, compute_block, new_desk
from snn_deploy.backends.event.layers.kernels.sums import gather
from snn_deploy.backends.event.layers.tables import (
    BLOCK,
    NARROW,
    WIDE,
    WIDEST,
    LayerPlan,
    Streams,
)
from snn_deploy.backends.event.records import REGISTER_OF, Records
from snn_deploy.backends.event.sources import SOURCES
from snn_deploy.ir.neuron import State

CURRENT, MEMBRANE = REGISTER_OF[State.CURRENT], REGISTER_OF[State.MEMBRANE]
PAYLOAD = REGISTER_OF[State.PAYLOAD]


class Room(NamedTuple):
    """Where one thread computes a step."""

    narrow: np.ndarray
    """Sums in 16 bits, all 0 between steps."""

    wide: np.ndarray
    """The same in 32 bits."""

    rest: np.ndarray
    desk: Desk


def new_room(plan: LayerPlan) -> Room:
    """Return room for one thread."""
    widest = plan.rules[WIDEST]
    narrow, wide = np.zeros(widest, np.int16), np.zeros(widest, np.int32)
    return Room(narrow, wide, np.zeros(widest, np.int32), new_desk())


@compiled
def _initialize(plan: LayerPlan, streams: Streams) -> None:
    """Set every state to its initial value; nothing was sent."""
    streams.cells[:] = 0
    streams.begins[:] = 0
    for layer in plan.layers:
        for lane in range(streams.cells.shape[0]):
            for n in range(layer.size):
                streams.cells[lane, layer.membrane + n] = plan.numbers[layer.initial + n]
            if layer.has_current:
                for n in range(layer.size):
                    at = layer.initial + layer.size + n
                    streams.cells[lane, layer.current + n] = plan.numbers[at]


@compiled
def _advance(
    plan: LayerPlan,
    streams: Streams,
    room: Room,
    groups: Any,
    sample: int,
    t0: int,
    t1: int,
    records: Records,
) -> None:
    """Run the steps t0 to t1 of some groups of layers, one group after another."""
    for group in range(groups[0], groups[1]):
        first, end = plan.groups[group, 0], plan.groups[group, 1]
        for lane in range(streams.cells.shape[0]):
            for step in range(t0, t1):
                for index in range(first, end):
                    layer = plan.layers[index]
                    _step(plan, streams, lane, layer, step, step - t0, sample + lane, records, room)


@compiled
def _step(
    plan: LayerPlan,
    streams: Streams,
    lane: int,
    layer: Any,
    step: int,
    local: int,
    sample: int,
    records: Records,
    room: Room,
) -> None:
    """Run one step of one layer for one sample."""
    cells, node = streams.cells[lane], plan.nodes[layer.node]
    begin = node.begins + node.history + local
    count = streams.begins[lane, begin]
    if step >= layer.lag:
        used = gather(plan, streams, lane, layer, local, room.narrow, room.wide, room.rest)
        epoch = layer.epoch
        while epoch + 1 < layer.epoch_end and plan.epochs[epoch + 1].start <= step:
            epoch += 1
        bias = plan.epochs[epoch]
        rests = layer.rests and step < layer.first_bias
        for block in range((layer.size + BLOCK - 1) // BLOCK):
            first = block * BLOCK
            size = min(BLOCK, layer.size - first)
            quiet = rests and cells[layer.quiet + block] != 0
            if quiet and not _arrives(used, room, first, size):
                continue
            _take(layer, used, room, first, size)
            alive, overflows = compute_block(
                plan, layer, block, first, size, cells, bias, room.desk
            )
            cells[layer.quiet + block] = not alive
            records.overflows[sample, layer.row] += overflows
            count = _send(streams, lane, layer, node, first, size, count, room.desk)
        _count(
            plan, streams, lane, layer, node, streams.begins[lane, begin], count, sample, records
        )
    streams.begins[lane, begin + 1] = count
    if step >= records.first:
        _keep(plan, cells, layer, sample * records.steps + step - records.first, records)


@compiled
def _arrives(used: int, room: Room, first: int, size: int) -> bool:
    """Return whether a sum of a block is not 0."""
    if used & NARROW:
        seen = np.int16(0)
        sums = room.narrow[first : first + size]
        for n in range(size):
            seen = np.int16(seen | sums[n])
        if seen != 0:
            return True
    if used & WIDE:
        found = np.int32(0)
        totals = room.wide[first : first + size]
        for n in range(size):
            found = np.int32(found | totals[n])
        return found != 0
    return False


@compiled
def _take(layer: Any, used: int, room: Room, first: int, size: int) -> None:
    """Put what arrives at a block on the desk, shifted, and clear its sums."""
    drive = room.desk.drive[:size]
    if used == 0:
        for n in range(size):
            drive[n] = 0
    if used & NARROW:
        sums, shift = room.narrow[first : first + size], layer.narrow_shift & 31
        for n in range(size):
            drive[n] = as32(sums[n]) << shift
            sums[n] = 0
    if used & WIDE:
        totals, left = room.wide[first : first + size], layer.wide_shift & 31
        more = used & NARROW != 0
        for n in range(size):
            drive[n] = (drive[n] if more else as32(0)) + (totals[n] << left)
            totals[n] = 0


@compiled
def _send(
    streams: Streams,
    lane: int,
    layer: Any,
    node: Any,
    first: int,
    size: int,
    count: int,
    desk: Desk,
) -> int:
    """Append the events of a block to the stream; return how many there are now."""
    events = streams.events[lane, node.events : node.events + node.room]
    values = streams.values[lane, node.events : node.events + node.room]
    binary = node.binary != 0
    for word in range((size + 7) // 8):
        if desk.eights[np.uint64(word)] == 0:
            continue
        begin, together = 8 * word, min(8, size - 8 * word)
        fired = desk.fired[begin : begin + together]
        if not binary:
            sent = layer.payload + first + begin
            payload, behind = streams.cells[lane, sent : sent + together], count
            for k in range(together):
                values[np.uint64(behind)] = payload[k]
                behind += fired[k]
        for k in range(together):
            events[np.uint64(count)] = first + begin + k  # kept where it fired: no guess to fail
            count += fired[k]
    return count


@compiled
def _count(
    plan: LayerPlan,
    streams: Streams,
    lane: int,
    layer: Any,
    node: Any,
    begin: int,
    end: int,
    sample: int,
    records: Records,
) -> None:
    """Add this step's events to the counts."""
    block = records.count_block[layer.row] + sample * layer.size
    events = records.events[block : block + layer.size]
    spikes = records.spikes[block : block + layer.size]
    place = plan.numbers[layer.place : layer.place + layer.size]
    sent = streams.events[lane, node.events + begin : node.events + end]
    for k in range(sent.size):
        neuron = np.uint64(place[np.uint64(sent[k])])
        events[neuron] += 1
        spikes[neuron] += 1
    if not node.binary:
        values = streams.values[lane, node.events + begin : node.events + end]
        for k in range(sent.size):
            spikes[np.uint64(place[np.uint64(sent[k])])] += values[k] - 1


@compiled
def _keep(plan: LayerPlan, cells: np.ndarray, layer: Any, row: int, records: Records) -> None:
    """Record the states of a layer; what is not written stays 0."""
    _keep_state(plan, cells, layer, layer.membrane, MEMBRANE, row, records)
    _keep_state(plan, cells, layer, layer.payload, PAYLOAD, row, records)
    if layer.has_current:
        _keep_state(plan, cells, layer, layer.current, CURRENT, row, records)


@compiled
def _keep_state(
    plan: LayerPlan,
    cells: np.ndarray,
    layer: Any,
    cell: int,
    column: int,
    row: int,
    records: Records,
) -> None:
    begin = records.blocks[layer.row, column]
    if begin < 0:
        return
    at = begin + row * layer.size
    kept = records.states[at : at + layer.size]
    place = plan.numbers[layer.place : layer.place + layer.size]
    for block in range((layer.size + BLOCK - 1) // BLOCK):
        if cells[layer.quiet + block] == 0:
            for n in range(block * BLOCK, min(block * BLOCK + BLOCK, layer.size)):
                kept[np.uint64(place[np.uint64(n)])] = cells[np.uint64(cell + n)]


@compiled
def _roll(plan: LayerPlan, streams: Streams, steps: int) -> None:
    """Keep the events of the last steps, which some edge still has to deliver."""
    for node in plan.nodes:
        for lane in range(streams.begins.shape[0]):
            begins = streams.begins[lane, node.begins : node.begins + node.history + steps + 1]
            events = streams.events[lane, node.events : node.events + node.room]
            values = streams.values[lane, node.events : node.events + node.room]
            first = begins[steps]
            for k in range(begins[steps + node.history] - first):
                events[k] = events[first + k]
                values[k] = values[first + k]
            for step in range(node.history + 1):
                begins[step] = begins[steps + step] - first


@compiled
def _read(plan: LayerPlan, streams: Streams, index: int, values: np.ndarray) -> None:
    """Put what enters a node, `values` [lane, step, neuron], in its stream."""
    node = plan.nodes[index]
    for lane in range(streams.begins.shape[0]):
        at = node.begins + node.history
        count = streams.begins[lane, at]
        events = streams.events[lane, node.events : node.events + node.room]
        worth = streams.values[lane, node.events : node.events + node.room]
        for step in range(values.shape[1]):
            row = values[lane, step]
            for begin in range(0, node.size, 16):
                part = row[begin : min(begin + 16, node.size)]
                seen = np.int32(0)
                for k in range(part.size):
                    seen = np.int32(seen | part[k])
                if seen == 0:
                    continue
                for k in range(part.size):
                    events[np.uint64(count)], worth[np.uint64(count)] = begin + k, part[k]
                    count += part[k] != 0
            streams.begins[lane, at + step + 1] = count


@compiled
def _unroll(
    plan: LayerPlan, streams: Streams, index: int, place: np.ndarray, values: np.ndarray
) -> None:
    """Write what a node sent into `values` [lane, step, neuron], in the program's order."""
    node = plan.nodes[index]
    values[:] = 0
    for lane in range(streams.begins.shape[0]):
        for step in range(values.shape[1]):
            at = node.begins + node.history + step
            first = node.events + streams.begins[lane, at]
            for k in range(first, node.events + streams.begins[lane, at + 1]):
                neuron = place[streams.events[lane, k]]
                values[lane, step, neuron] = 1 if node.binary else streams.values[lane, k]


class Entries(NamedTuple):
    """The compiled functions that others call, without the interpreter's lock.

    Each returns the digest of the sources that it was compiled from.
    """

    initialize: Callable[[LayerPlan, Streams], int]
    advance: Callable[
        [LayerPlan, Streams, Room, tuple[int, int], int, tuple[int, int], Records], int
    ]
    roll: Callable[[LayerPlan, Streams, int], int]
    read: Callable[[LayerPlan, Streams, int, np.ndarray], int]
    unroll: Callable[[LayerPlan, Streams, int, np.ndarray, np.ndarray], int]


def _entries(sources: int) -> Entries:
    def initialize(plan: LayerPlan, streams: Streams) -> int:
        _initialize(plan, streams)
        return sources

    def advance(
        plan: LayerPlan,
        streams: Streams,
        room: Room,
        groups: tuple[int, int],
        sample: int,
        steps: tuple[int, int],
        records: Records,
    ) -> int:
        _advance(plan, streams, room, groups, sample, steps[0], steps[1], records)
        return sources

    def roll(plan: LayerPlan, streams: Streams, steps: int) -> int:
        _roll(plan, streams, steps)
        return sources

    def read(plan: LayerPlan, streams: Streams, node: int, values: np.ndarray) -> int:
        _read(plan, streams, node, values)
        return sources

    def unroll(
        plan: LayerPlan, streams: Streams, node: int, place: np.ndarray, values: np.ndarray
    ) -> int:
        _unroll(plan, streams, node, place, values)
        return sources

    return Entries(entry(initialize), entry(advance), entry(roll), entry(read), entry(unroll))


KERNELS = _entries(SOURCES)
