"""Checks a map of cores on its own: reads its JSON and the program, and counts everything anew.

Knows nothing of how maps are made. Limits and packing are written out here, from nengo-loihi 1.1.0
(block.py, hardware/builder.py) for Loihi 1 and Intel's Loihi 2 brief for Loihi 2.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from snn_deploy.ir.maps import Convolution, Dense
from snn_deploy.ir.program import Population, Program, Projection


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What a chip has."""

    cores: int
    neurons: int
    input_axons: int | None = None
    output_axons: int | None = None
    synapse_bits: int | None = None
    core_bits: int | None = None
    configurations: int | None = None
    thresholds: int | None = None
    formats: int | None = None
    offset: int | None = None
    packed: bool = False
    """Whether blocks of 64 synapses with headers of 10 bits fill words of 64 bits."""

    weight_widths: tuple[int, ...] = (8,)
    shared_entries: int = 1


CHIPS = {
    "loihi1": Chip(
        cores=128, neurons=1024, input_axons=4096, output_axons=4096, synapse_bits=16384 * 64,
        configurations=32, thresholds=8, formats=8, offset=256, packed=True,
        weight_widths=(1, 2, 3, 4, 5, 6, 8), shared_entries=2,
    ),
    "loihi2": Chip(cores=120, neurons=8192, core_bits=192 * 1024 * 8),
}  # fmt: skip


@dataclass
class Found:
    """What one core turns out to use."""

    axons: int = 0
    bits: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    formats: set[tuple[int, ...]] = field(default_factory=set)


def problems(content: bytes, program: Program) -> list[str]:
    """Return everything that is wrong with a map; empty: it is legal and tells the truth."""
    record = json.loads(content)
    chip = CHIPS[record["target"]]
    found = [Found() for _ in record["cores"]]
    wrong = [*_placed(record, program), *_sited(record, chip)]
    if wrong:
        return wrong
    for projection in program.projections:
        _arrive(projection, record, chip, found)
    for population in program.populations:
        _send(population, program, record, chip, found)
    return [*_alone(record, program, chip), *_amounts(record, program, chip, found)]


def members(part: dict) -> np.ndarray:
    """Return the neurons of a part."""
    places = part["grid"][1]
    return np.asarray(
        [c * places + p for c in range(*part["channels"]) for p in range(*part["places"])]
    )


def _placed(record: dict, program: Program) -> Iterator[str]:
    held: dict[str, list[np.ndarray]] = {p.name: [] for p in program.populations}
    for core in record["cores"]:
        for part in core["parts"]:
            held[part["population"]].append(members(part))
    for name, parts in held.items():
        neurons = np.concatenate(parts) if parts else np.zeros(0)
        if not np.array_equal(np.sort(neurons), np.arange(program.population(name).size)):
            yield f"{name}: not every neuron is on one core"


def _sited(record: dict, chip: Chip) -> Iterator[str]:
    routers = Counter((c["chip"], c["x"], c["y"]) for c in record["cores"])
    if max(routers.values()) > 4 or max(c["x"] for c in record["cores"]) > 7:
        yield "more cores at a router than it has"
    if max(c["y"] for c in record["cores"]) > 3:
        yield "a router beyond the mesh"
    if max(Counter(c["chip"] for c in record["cores"]).values()) > chip.cores:
        yield "more cores than a chip has"
    if [core["core"] for core in record["cores"]] != list(range(len(record["cores"]))):
        yield "cores are not numbered one by one"


def _bits(lists: list[int], width: int, chip: Chip) -> int:
    if not chip.packed:
        return sum(lists) * width
    total = 0
    for synapses, times in Counter(lists).items():
        words = 0
        for first in range(0, synapses, 64):
            words += -(-(min(64, synapses - first) * width + 10) // 64)
        total += times * words * 64
    return total


def _widths(projection: Projection, chip: Chip) -> tuple[int, int]:
    """Return the bits of a weight and of a delay."""
    delay = (int(projection.delay.max()) - 1).bit_length()
    weights = projection.map.numbers()
    mixed = projection.sign.value == "mixed"
    for width in chip.weight_widths:
        unit = 1 << (8 - width + mixed)
        if np.all(weights % unit == 0):
            return width, delay
    raise AssertionError("a weight that no width holds")


def _index(neurons: int, chip: Chip) -> int:
    return min(w for w in range(6, 13) if 1 << w >= neurons) if chip.packed else 0


def _arrive(projection: Projection, record: dict, chip: Chip, found: list[Found]) -> None:
    """Count what a projection takes on the cores with its target."""
    encoding = next(s for s in record["stored"] if s["projection"] == projection.name)
    weight, delay = _widths(projection, chip)
    assert (encoding["weight_bits"], encoding["delay_bits"]) == (weight, delay)
    linear, seen = projection.map, {}
    for core, use in zip(record["cores"], found, strict=True):
        alone = len(core["parts"]) == 1
        for part in (p for p in core["parts"] if p["population"] == projection.target):
            size = len(members(part))
            index = _index(size, chip) if alone else _index(chip.neurons, chip)
            if encoding["encoding"] == "dense":
                assert isinstance(linear, Dense)
                index = 0 if alone else index
                lists = [size] * linear.in_size
                use.axons += linear.in_size
            elif encoding["encoding"] == "sparse":
                lists = list(Counter(_sources(linear, part)).values())
                use.axons += len(lists)
            else:
                assert isinstance(linear, Convolution)
                key = (tuple(part["places"]), tuple(part["channels"]))
                if key not in seen:
                    seen[key] = _shared(linear, part, chip)
                axons, lists = seen[key]
                use.axons += axons
            use.bits[encoding["encoding"]] += _bits(lists, weight + delay + index, chip)
            use.formats.add((weight, delay, index, projection.shift, projection.sign.value))


def _sources(linear, part: dict) -> list[int]:
    triplets = linear.triplets()
    own = np.zeros(linear.out_size, bool)
    own[members(part)] = True
    return triplets.pre[own[triplets.post]].tolist()


def _windows(linear: Convolution, part: dict) -> dict[int, frozenset[tuple[int, int]]]:
    """Return, for each place of the source that reaches the part, the taps that do."""
    (_, height, width), (_, tall, wide) = linear.source, linear.out_shape
    assert part["grid"] == [linear.out_shape[0], tall * wide]
    found: dict[int, set[tuple[int, int]]] = {}
    for place in range(*part["places"]):
        for row in range(linear.weight.shape[2]):
            for column in range(linear.weight.shape[3]):
                y = place // wide * linear.stride[0] - linear.padding[0] + row * linear.dilation[0]
                x = (
                    place % wide * linear.stride[1]
                    - linear.padding[2]
                    + column * linear.dilation[1]
                )
                if 0 <= y < height and 0 <= x < width:
                    found.setdefault(y * width + x, set()).add((row, column))
    return {place: frozenset(taps) for place, taps in found.items()}


def _shared(linear: Convolution, part: dict, chip: Chip) -> tuple[int, list[int]]:
    """Return the axons, and the length of each list that places share."""
    windows = _windows(linear, part)
    each = linear.out_shape[0] // linear.groups
    groups = Counter(channel // each for channel in range(*part["channels"]))
    if not chip.packed:  # nothing is known but that a kernel is stored once
        own = sum(groups.values())
        return len(windows), [linear.weight[0].size * own]
    lists = [
        len(taps) * channels
        for taps in set(windows.values())
        for channels in groups.values()
        for _ in range(linear.weight.shape[1])
    ]
    return len(windows), lists


def _send(
    population: Population, program: Program, record: dict, chip: Chip, found: list[Found]
) -> None:
    """Count the entries of output axons of a population's neurons."""
    sent = [p for p in program.projections if p.source == population.name]
    if not sent:
        return
    encodings = {s["projection"]: s["encoding"] for s in record["stored"]}
    shapes = {p.map.in_shape for p in sent if encodings[p.name] == "shared"}
    rows, weights = [], []
    for projection in sent:
        for core in record["cores"]:
            for part in (p for p in core["parts"] if p["population"] == projection.target):
                rows.append(_reached(projection, part, encodings[projection.name]))
                shared = encodings[projection.name] == "shared"
                weights.append(chip.shared_entries if shared else 1)
    table, entries = np.stack(rows), np.asarray(weights)
    for core, use in zip(record["cores"], found, strict=True):
        for part in (p for p in core["parts"] if p["population"] == population.name):
            own = members(part)
            together = all(encodings[p.name] == "shared" for p in sent) and all(
                [shape[0], int(np.prod(shape[1:]))] == part["grid"] for shape in shapes
            )
            columns = table[:, own]
            if not together:
                use.entries += int(entries @ columns.sum(axis=1))
                continue
            kinds: dict[tuple[int, bytes], int] = {}
            packed = np.ascontiguousarray(np.packbits(columns, axis=0).T)
            amounts = entries @ columns
            for neuron, row, amount in zip(own, packed, amounts, strict=True):
                kinds[int(neuron) % part["grid"][1], row.tobytes()] = int(amount)
            use.entries += sum(kinds.values())


def _reached(projection: Projection, part: dict, encoding: str) -> np.ndarray:
    """Return which neurons of the source send to a part."""
    linear = projection.map
    found = np.zeros(linear.in_size, bool)
    if encoding == "dense":
        found[:] = True
    elif encoding == "sparse":
        found[_sources(linear, part)] = True
    else:
        assert isinstance(linear, Convolution)
        each, within = linear.out_shape[0] // linear.groups, linear.weight.shape[1]
        groups = {channel // each for channel in range(*part["channels"])}
        places = list(_windows(linear, part))
        grid = found.reshape(linear.source[0], -1)
        for group in groups:
            grid[group * within : (group + 1) * within, places] = True
    return found


def _alone(record: dict, program: Program, chip: Chip) -> Iterator[str]:
    """Check that nothing is beside kernels that are shared, and that offsets reach all of it."""
    shared = {s["projection"] for s in record["stored"] if s["encoding"] == "shared"}
    targets = {p.target for p in program.projections if p.name in shared}
    for core in record["cores"]:
        for part in core["parts"]:
            if part["population"] not in targets:
                continue
            if len(core["parts"]) > 1:
                yield f"core {core['core']}: something is beside a shared kernel"
            span = part["places"][1] - part["places"][0]
            if chip.offset is not None and span - 1 > chip.offset:
                yield f"core {core['core']}: an offset of {span - 1}"


def _amounts(record: dict, program: Program, chip: Chip, found: list[Found]) -> Iterator[str]:
    for core, use in zip(record["cores"], found, strict=True):
        neurons = sum(len(members(part)) for part in core["parts"])
        bits = sum(use.bits.values())
        state, configurations, thresholds = _states(core, program)
        for what, told, counted, limit in (
            ("neurons", core["neurons"], neurons, chip.neurons),
            ("input axons", core["input_axons"], use.axons, chip.input_axons),
            ("output axons", core["output_axons"], use.entries, chip.output_axons),
            ("synapse bits", sum(core["synapse_bits"].values()), bits, chip.synapse_bits),
            ("state bits", core["state_bits"], state, None),
            ("memory", bits + core["state_bits"], bits + state, chip.core_bits),
            ("sets of decays", core["neuron_configurations"], configurations, chip.configurations),
            ("thresholds", core["thresholds"], thresholds, chip.thresholds),
            ("formats", core["synapse_formats"], len(use.formats), chip.formats),
        ):
            if told != counted:
                yield f"core {core['core']}: {counted} {what}, the map says {told}"
            if limit is not None and counted > limit:
                yield f"core {core['core']}: {counted} {what} of {limit}"
    unknown = {use["resource"] for use in record["uses"] if use["limit"] is None}
    known = {"neurons"} | {
        name
        for name, limit in (
            ("input-axons", chip.input_axons),
            ("output-axons", chip.output_axons),
            ("synapse-memory", chip.synapse_bits),
            ("core-memory", chip.core_bits),
            ("neuron-configurations", chip.configurations),
            ("thresholds", chip.thresholds),
            ("synapse-formats", chip.formats),
        )
        if limit is not None
    }
    if unknown & known or unknown | known != {use["resource"] for use in record["uses"]}:
        yield f"unknown limits are {sorted(unknown)}"


def _states(core: dict, program: Program) -> tuple[int, int, int]:
    """Return the bits of registers, and how many sets of decays and thresholds differ."""
    bits, configurations, thresholds = 0, set(), set()
    for part in core["parts"]:
        population, own = program.population(part["population"]), members(part)
        bits += len(own) * 24 * (len(population.currents) + 1)
        refractory = population.refractory
        wait = 0 if refractory is None else refractory.steps
        chains = [c.chain.multiplier for c in population.currents if c.chain is not None]
        decays = [population.decay, *(c.decay for c in population.currents), *chains]
        columns = [np.broadcast_to(d, population.shape).ravel()[own].tolist() for d in decays]
        configurations |= {(*row, wait) for row in zip(*columns, strict=True)}
        level = np.broadcast_to(population.threshold, population.shape).ravel()[own]
        thresholds |= set(level.tolist())
    return bits, len(configurations), len(thresholds)
