"""The compiled loop of layers: each runs all steps of a stretch before the next one begins."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from snn_deploy.backends.event.arithmetic import as32, compiled, entry, inlined
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


_GATHER = np.uint64(0x0102040810204080)
"""Times eight bytes that are 0 or 1 this has them as its upper eight bits, the first one lowest."""

_NONE, _TOP, _EIGHT, _NINE = np.uint64(0), np.uint64(56), np.uint64(8), np.uint64(9)


class Room(NamedTuple):
    """Where one thread computes a step."""

    narrow: np.ndarray
    """Sums in 16 bits, all 0 between steps."""

    wide: np.ndarray
    """The same in 32 bits."""

    rest: np.ndarray
    places: np.ndarray
    """For each set of eight bits nine bytes: which of them are 1, and how many (`_list`)."""

    desk: Desk


def new_room(plan: LayerPlan) -> Room:
    """Return room for one thread."""
    widest = plan.rules[WIDEST]
    narrow, wide = np.zeros(widest, np.int16), np.zeros(widest, np.int32)
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    places = np.argsort(1 - bits, axis=1, kind="stable")
    known = np.concatenate([places, bits.sum(1, keepdims=True)], axis=1).astype(np.uint8)
    return Room(narrow, wide, np.zeros(widest, np.int32), known.ravel(), new_desk())


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
    start: int,
    sample: int,
    given: Given,
    records: Records,
) -> None:
    """Run all steps that are given, some of them through all layers before the next ones."""
    steps, chunk = given.spikes.shape[1], plan.rules[CHUNK]
    for begin in range(0, steps, chunk):
        end = min(begin + chunk, steps)
        _read(plan, streams, room, given, begin, end)
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
            count = _send(streams, lane, layer, node, first, size, count, room)
        _count(
            plan, streams, lane, layer, node, streams.begins[lane, begin], count, sample, records
        )
    streams.begins[lane, begin + 1] = count
    if step >= records.first:
        _keep(plan, cells, layer, sample * records.steps + step - records.first, records)


@inlined
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


@inlined
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


@inlined
def _send(
    streams: Streams,
    lane: int,
    layer: Any,
    node: Any,
    first: int,
    size: int,
    count: int,
    room: Room,
) -> int:
    """Append the events of a block to the stream; return how many there are now."""
    eights = room.desk.eights[: (size + 7) // 8]
    for k in range(size, 8 * eights.size):
        room.desk.fired[np.uint64(k)] = 0
    events = streams.events[lane, node.events : node.events + node.room]
    if not node.binary:
        sent = layer.payload + first
        payload, behind = streams.cells[lane, sent : sent + size], count
        values = streams.values[lane, node.events : node.events + node.room]
        for k in range(size):
            if payload[k] != 0:
                values[np.uint64(behind)] = payload[k]
                behind += 1
    return _list(events, count, eights, first, room.places)


@inlined
def _list(
    events: np.ndarray, count: int, eights: np.ndarray, first: int, places: np.ndarray
) -> int:
    """Append the numbers of bytes that are 1, from `first` on; return how many there are now.

    `places` has, for each set of such bytes in eight, which they are, and then how many. What is
    written behind the last one is overwritten later: there is no branch to guess.
    """
    for group in range(0, eights.size, 4):
        words = eights[group : min(group + 4, eights.size)]
        seen = _NONE
        for k in range(words.size):
            seen |= words[k]
        if seen != 0:
            for word in range(words.size):
                at = ((words[word] * _GATHER) >> _TOP) * _NINE
                known = places[at : at + _NINE]
                to = events[np.uint64(count) : np.uint64(count) + _EIGHT]
                for k in range(8):
                    to[k] = first + 8 * (group + word) + known[k]
                count += known[8]
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
def _keep(plan: LayerPlan, cells: np.ndarray, layer: Any, row: int, records: Records) -> None:
    """Record the states of a layer; what is not written stays 0."""
    _keep_state(plan, cells, layer, layer.membrane, MEMBRANE, row, records)
    _keep_state(plan, cells, layer, layer.payload, PAYLOAD, row, records)
    if layer.has_current:
        _keep_state(plan, cells, layer, layer.current, CURRENT, row, records)


@inlined
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
def _read(
    plan: LayerPlan, streams: Streams, room: Room, given: Given, begin: int, end: int
) -> None:
    """Put what enters in some steps into the streams of its nodes."""
    for node in plan.nodes:
        if node.column == ABSENT:
            continue
        for lane in range(streams.begins.shape[0]):
            events = streams.events[lane, node.events : node.events + node.room]
            values = streams.values[lane, node.events : node.events + node.room]
            at = node.begins + node.history
            count = streams.begins[lane, at]
            for step in range(begin, end):
                if node.binary:
                    columns = node.column, node.column + (node.size + 7) // 8
                    eights = given.spikes[lane, step, columns[0] : columns[1]]
                    count = _list(events, count, eights, 0, room.places)
                else:
                    row = given.values[lane, step, node.column : node.column + node.size]
                    count = _list_values(events, values, count, row)
                streams.begins[lane, at + step - begin + 1] = count


@inlined
def _list_values(events: np.ndarray, values: np.ndarray, count: int, row: np.ndarray) -> int:
    """Append all numbers of a row that are not 0; return how many there are now."""
    for begin in range(0, row.size, 16):
        part = row[begin : min(begin + 16, row.size)]
        seen = np.int32(0)
        for k in range(part.size):
            seen = np.int32(seen | part[k])
        if seen != 0:
            for k in range(part.size):
                events[np.uint64(count)], values[np.uint64(count)] = begin + k, part[k]
                count += part[k] != 0
    return count


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
