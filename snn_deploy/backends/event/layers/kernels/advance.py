"""The compiled loop of layers: each runs all steps of a stretch before the next one begins."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from snn_deploy.backends.event.arithmetic import as32, compiled, entry, inlined
from snn_deploy.backends.event.flat import LINE, on_lines
from snn_deploy.backends.event.layers.kernels.lanes import (
    count_bits,
    lowest_bit,
    marks_at,
    widest_lanes,
)
from snn_deploy.backends.event.layers.kernels.neurons import Desk, compute_block, new_desk
from snn_deploy.backends.event.layers.kernels.sums import gather
from snn_deploy.backends.event.layers.tables import (
    BLOCK,
    CHUNK,
    NARROW,
    WIDE,
    WIDEST,
    Given,
    LayerPlan,
    Streams,
)
from snn_deploy.backends.event.records import ABSENT, REGISTER_OF, Records
from snn_deploy.backends.event.sources import SOURCES
from snn_deploy.ir.neuron import State

CURRENT, MEMBRANE = REGISTER_OF[State.CURRENT], REGISTER_OF[State.MEMBRANE]
PAYLOAD = REGISTER_OF[State.PAYLOAD]

_ONE = np.uint64(1)

_FIRST_LISTED, _NEXT_LISTED = 8, 16
"""Of the marks in 64 bytes so many are listed without asking how many there are, and then the
others up to so many: nearly always that is right, and there is no branch to guess."""


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
    widest = -(-int(plan.rules[WIDEST]) // LINE) * LINE
    narrow, wide = on_lines((widest,), np.int16), on_lines((widest,), np.int32)
    narrow[:], wide[:] = 0, 0
    return Room(narrow, wide, on_lines((widest,), np.int32), new_desk())


@compiled
def _initialize(plan: LayerPlan, streams: Streams) -> None:
    """Set every state to its initial value; nothing was sent."""
    streams.cells[:] = 0
    streams.marks[:] = 0
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
    start: int,
    sample: int,
    given: Given,
    records: Records,
) -> None:
    """Run all steps that are given, some of them through all layers before the next ones."""
    steps, chunk = given.spikes.shape[1], plan.rules[CHUNK]
    for begin in range(0, steps, chunk):
        end = min(begin + chunk, steps)
        _read(plan, streams, given, begin, end)
        for group in range(plan.groups.shape[0]):
            _run(plan, streams, room, group, start + begin, start + end, sample, records)
        _unroll(plan, streams, given, begin, end)
        _roll(plan, streams, end - begin)


@compiled
def _run(
    plan: LayerPlan,
    streams: Streams,
    room: Room,
    group: int,
    t0: int,
    t1: int,
    sample: int,
    records: Records,
) -> None:
    """Run the steps t0 to t1 of one group of layers."""
    widest_lanes()
    first, end = plan.groups[group, 0], plan.groups[group, 1]
    for lane in range(streams.cells.shape[0]):
        for step in range(t0, t1):
            for index in range(first, end):
                layer = plan.layers[index]
                _step(plan, streams, lane, layer, step, step - t0, sample + lane, records, room)


@inlined
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
    cells, marks, node = streams.cells[lane], streams.marks[lane], plan.nodes[layer.node]
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
                plan, layer, block, first, size, cells, marks, bias, room.desk
            )
            cells[layer.quiet + block] = not alive
            records.overflows[layer.row, sample] += overflows
            count = _send(streams, lane, layer, node, first, size, count)
        _count(
            plan, streams, lane, layer, node, streams.begins[lane, begin], count, sample, records
        )
    streams.begins[lane, begin + 1] = count
    if step >= records.first:
        row = sample * records.steps + step - records.first
        _keep(plan, streams, lane, layer, row, records)


@inlined
def _arrives(used: int, room: Room, first: int, size: int) -> bool:
    """Return whether a sum of a block is not 0."""
    widest_lanes()
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


@inlined
def _take(layer: Any, used: int, room: Room, first: int, size: int) -> None:
    """Put what arrives at a block on the desk, shifted, and clear its sums."""
    widest_lanes()
    drive = room.desk.drive[:size]
    if used == 0:
        for n in range(size):
            drive[n] = 0
    if used & NARROW:
        sums, factor = room.narrow[first : first + size], as32(1 << (layer.narrow_shift & 31))
        for n in range(size):
            drive[n] = as32(as32(sums[n]) * factor)
            sums[n] = 0
    if used & WIDE:
        totals, factor = room.wide[first : first + size], as32(1 << (layer.wide_shift & 31))
        more = used & NARROW != 0
        for n in range(size):
            drive[n] = as32((drive[n] if more else as32(0)) + as32(totals[n] * factor))
            totals[n] = 0


@inlined
def _send(
    streams: Streams, lane: int, layer: Any, node: Any, first: int, size: int, count: int
) -> int:
    """Append the events of a block to the stream; return how many there are now."""
    events = streams.events[lane, node.events : node.events + node.room]
    behind = _list(events, count, streams.marks[lane], layer.marks + first, size, first)
    if not node.binary:
        payload = streams.cells[lane, layer.payload : layer.payload + layer.size]
        _take_values(streams, lane, node, count, behind, payload)
    return behind


@inlined
def _take_values(
    streams: Streams, lane: int, node: Any, begin: int, end: int, payload: np.ndarray
) -> None:
    """Put beside the events from `begin` to `end` what their neurons send."""
    events = streams.events[lane, node.events + begin : node.events + end]
    values = streams.values[lane, node.events + begin : node.events + end]
    for k in range(events.size):
        values[k] = payload[np.uint64(events[k])]


@inlined
def _list(events: np.ndarray, count: int, marks: np.ndarray, at: int, size: int, first: int) -> int:
    """Append the places of `size` numbers that are not 0, from `first` on, to the events.

    The numbers begin at `at`, and their last line is whole. What is written behind the
    last event is overwritten later. Returns how many events there are now.
    """
    lanes = LINE // marks.itemsize
    for begin in range(0, size, lanes):
        bits = marks_at(marks, at + begin)
        if size - begin < lanes:
            bits &= (_ONE << np.uint64(size - begin)) - _ONE
        if bits == 0:
            continue
        found = count_bits(bits)
        to = events[np.uint64(count) : np.uint64(count) + np.uint64(lanes)]
        for k in range(_FIRST_LISTED):
            to[k], bits = first + begin + lowest_bit(bits), bits & (bits - _ONE)
        if bits != 0:
            for k in range(_FIRST_LISTED, _NEXT_LISTED):
                to[k], bits = first + begin + lowest_bit(bits), bits & (bits - _ONE)
            for k in range(_NEXT_LISTED, found):
                to[k], bits = first + begin + lowest_bit(bits), bits & (bits - _ONE)
        count += found
    return count


@inlined
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


@inlined
def _keep(
    plan: LayerPlan, streams: Streams, lane: int, layer: Any, row: int, records: Records
) -> None:
    """Record the states of a layer; what is not written stays 0."""
    cells = streams.cells[lane]
    _keep_state(plan, cells, cells[layer.membrane :], layer, MEMBRANE, row, records)
    if layer.payload == ABSENT:
        marks = streams.marks[lane, layer.marks :]
        _keep_state(plan, cells, marks, layer, PAYLOAD, row, records)
    else:
        _keep_state(plan, cells, cells[layer.payload :], layer, PAYLOAD, row, records)
    if layer.has_current:
        _keep_state(plan, cells, cells[layer.current :], layer, CURRENT, row, records)


@inlined
def _keep_state(
    plan: LayerPlan,
    cells: np.ndarray,
    state: np.ndarray,
    layer: Any,
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
                kept[np.uint64(place[np.uint64(n)])] = state[np.uint64(n)]


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
def _read(plan: LayerPlan, streams: Streams, given: Given, begin: int, end: int) -> None:
    """Put what enters in some steps into the streams of its nodes."""
    widest_lanes()
    for node in plan.nodes:
        if node.column == ABSENT:
            continue
        for lane in range(streams.begins.shape[0]):
            events = streams.events[lane, node.events : node.events + node.room]
            at = node.begins + node.history
            count = streams.begins[lane, at]
            for step in range(begin, end):
                if node.binary:
                    row = given.spikes[lane, step]
                    count = _list(events, count, row, node.column, node.size, 0)
                else:
                    numbers, before = given.values[lane, step], count
                    count = _list(events, count, numbers, node.column, node.size, 0)
                    payload = numbers[node.column : node.column + node.size]
                    _take_values(streams, lane, node, before, count, payload)
                streams.begins[lane, at + step - begin + 1] = count


@compiled
def _unroll(plan: LayerPlan, streams: Streams, given: Given, begin: int, end: int) -> None:
    """Write what nodes sent that others read, in the program's order."""
    for layer in plan.layers:
        if layer.sent == ABSENT:
            continue
        node = plan.nodes[layer.node]
        place = plan.numbers[layer.place : layer.place + layer.size]
        for lane in range(streams.begins.shape[0]):
            for step in range(begin, end):
                at = node.begins + node.history + step - begin
                row = given.sent[lane, step, layer.sent : layer.sent + layer.size]
                first = node.events + streams.begins[lane, at]
                for k in range(first, node.events + streams.begins[lane, at + 1]):
                    worth = 1 if node.binary else streams.values[lane, k]
                    row[np.uint64(place[np.uint64(streams.events[lane, k])])] = worth


class Entries(NamedTuple):
    """The compiled functions that others call, without the interpreter's lock.

    Each returns the digest of the sources that it was compiled from.
    """

    initialize: Callable[[LayerPlan, Streams], int]
    advance: Callable[[LayerPlan, Streams, Room, tuple[int, int], Given, Records], int]


def _entries(sources: int) -> Entries:
    def initialize(plan: LayerPlan, streams: Streams) -> int:
        _initialize(plan, streams)
        return sources

    def advance(
        plan: LayerPlan,
        streams: Streams,
        room: Room,
        first: tuple[int, int],
        given: Given,
        records: Records,
    ) -> int:
        _advance(plan, streams, room, first[0], first[1], given, records)
        return sources

    return Entries(entry(initialize), entry(advance))


KERNELS = _entries(SOURCES)
"""`advance` runs from the step `first[0]` on; its samples are those from `first[1]` on in the
records."""
