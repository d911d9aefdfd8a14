"""Counts and times equal those of a plain loop over spikes, synapses, steps and cores."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from mapping_networks import dense, entry, link, program, sparse, weights

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.energy import Event, Placement, Tally, count, find_profile, synapse_event
from snn_deploy.ir.maps import Convolution, to_sparse
from snn_deploy.ir.neuron import Fires
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.trace import EVERYTHING, Trace, Values, by_name

STEPS = 9
SAMPLES = 2
CORES = 7
PROFILE = find_profile("loihi1-sanafe")


def spiking(name: str, shape: tuple[int, ...], lag: int, **changes: object) -> Population:
    return Population(
        name=name,
        shape=shape,
        decay=np.asarray(2048, np.int32),
        threshold=np.asarray(9, np.int32),
        lag=lag,
        **changes,  # type: ignore[arg-type]
    )


def network(seed: int) -> Program:
    """Return maps of every kind, two of one source to shared cores, delays of every form."""
    rng = np.random.default_rng(seed)
    kernel = Convolution(weight=weights(rng, (4, 1, 2, 3)), source=(2, 4, 5), groups=2)
    wide = Convolution(
        weight=weights(rng, (2, 2, 3, 3)),
        source=(2, 4, 5),
        stride=(2, 1),
        padding=(1, 0, 1, 1),
        dilation=(1, 2),
    )
    return program(
        (entry((2, 4, 5)),),
        (
            spiking("conv", kernel.out_shape, 1),
            spiking("wide", wide.out_shape, 1),
            spiking("many", (6,), 2, fires=Fires.COUNT, max_spikes=5),
            spiking("last", (5,), 4),
        ),
        (
            link("in", "conv", kernel),
            link("in", "wide", wide),
            link("conv", "many", dense(rng, 36, 6)),
            link("wide", "many", sparse(rng, wide.out_size, 6, 3), delay=rng.integers(1, 4, 18)),
            link("many", "last", dense(rng, 6, 5), delay=2),
            link("conv", "last", sparse(rng, 36, 5, 4), delay=rng.integers(1, 4, 36)),
        ),
    )


@pytest.fixture(params=range(4))
def case(request: pytest.FixtureRequest) -> tuple[Program, tuple[Values, ...], Trace, Placement]:
    net = network(request.param)
    rng = np.random.default_rng(100 + request.param)
    spikes = (rng.random((SAMPLES, STEPS, 2, 4, 5)) < 0.3).astype(np.int64)
    inputs = (Values(name="in", values=spikes),)
    core = {p.name: rng.integers(0, CORES, p.size) for p in net.populations}
    core["in"] = rng.integers(0, CORES, 40) if request.param % 2 else np.full(40, -1)
    chip = np.arange(CORES) // 5
    placement = Placement(
        core=core, chip=chip, x=rng.integers(0, 4, CORES), y=rng.integers(0, 3, CORES)
    )
    return net, inputs, ReferenceBackend().run(net, inputs, EVERYTHING), placement


def payloads(net: Program, inputs: tuple[Values, ...], trace: Trace) -> dict[str, np.ndarray]:
    found = {}
    for node in net.nodes:
        if isinstance(node, Population):
            record = trace[node.name].payload
            assert record is not None
        else:
            given = by_name(inputs, node.name)
            record = np.zeros((SAMPLES, trace.steps, *node.shape), np.int64)
            record[:, : given.shape[1]] = given
        found[node.name] = record.reshape(SAMPLES, trace.steps, -1)
    return found


def delays(net: Program, name: str) -> list[tuple[str, int, int, Event, int]]:
    """Return (target, post, pre, kind, delay) of every synapse out of a source."""
    found = []
    for projection in net.projections:
        if projection.source != name:
            continue
        synapses = to_sparse(projection.map, keep_zeros=True)
        kind = synapse_event(projection.map)
        for index, (post, pre) in enumerate(zip(synapses.post, synapses.pre, strict=True)):
            delay = projection.delay
            late = (
                delay
                if delay.ndim == 0
                else delay[index if delay.size != projection.map.in_size else pre]
            )
            found.append((projection.target, int(post), int(pre), kind, int(late)))
    return found


def way(placement: Placement, here: int, there: int) -> Counter[Event]:
    if placement.chip[here] != placement.chip[there]:
        return Counter({Event.MESSAGE_CHIP: 1})
    return Counter(
        {
            Event.HOP_EAST_WEST: abs(int(placement.x[here] - placement.x[there])),
            Event.HOP_NORTH_SOUTH: abs(int(placement.y[here] - placement.y[there])),
        }
    )


def brute(
    net: Program, inputs: tuple[Values, ...], trace: Trace, placement: Placement
) -> tuple[dict[str, Counter[Event]], list[list[dict[int, Counter[Event]]]]]:
    """Return events by layer in its own steps, and by sample, step and core in all of them."""
    sent = payloads(net, inputs, trace)
    layers = {node.name: Counter[Event]() for node in net.nodes}
    cores = [
        [{core: Counter[Event]() for core in range(CORES)} for _ in range(trace.steps)]
        for _ in range(SAMPLES)
    ]
    arrivals = set()
    for node in net.nodes:
        lag = node.lag if isinstance(node, Population) else 0
        synapses = delays(net, node.name)
        for sample, step, neuron in zip(*np.nonzero(sent[node.name]), strict=True):
            own = lag <= step < lag + STEPS
            here = int(placement.core[node.name][neuron])
            reached = set()
            for target, post, pre, kind, delay in synapses:
                if pre != neuron:
                    continue
                there = int(placement.core[target][post])
                reached.add(there)
                arrivals.add((target, sample, step + delay, post))
                cores[sample][step][there][kind] += 1
                if own:
                    layers[target][kind] += 1
                    layers[target][Event.MULTIPLY] += abs(sent[node.name][sample, step, neuron]) > 1
            for there in reached:
                cores[sample][step][there][Event.MESSAGE_IN] += 1
                if here >= 0:
                    cores[sample][step][here][Event.MESSAGE] += 1
                if own:
                    layers[node.name][Event.MESSAGE] += 1
                if own and here >= 0:
                    layers[node.name].update(way(placement, here, there))
    for population in net.populations:
        membrane = trace[population.name].membrane
        assert membrane is not None
        flat = membrane.reshape(SAMPLES, trace.steps, -1)
        for sample, step, neuron in np.ndindex(*flat.shape):
            before = flat[sample, step - 1, neuron] if step else 0
            active = (
                before != 0
                or flat[sample, step, neuron] != 0
                or sent[population.name][sample, step, neuron] != 0
                or (population.name, sample, step, neuron) in arrivals
            ) and step >= population.lag
            own = population.lag <= step < population.lag + STEPS
            core = cores[sample][step][int(placement.core[population.name][neuron])]
            fired = sent[population.name][sample, step, neuron] != 0
            for event, happened in (
                (Event.NEURON_ACCESS, True),
                (Event.NEURON_UPDATE, active),
                (Event.SPIKE, fired),
            ):
                core[event] += int(happened)
                layers[population.name][event] += int(happened and own)
    return layers, cores


def test_events_by_layer_equal_those_of_a_plain_loop(
    case: tuple[Program, tuple[Values, ...], Trace, Placement],
) -> None:
    net, inputs, trace, placement = case
    layers, _ = brute(*case)
    for layer in count(net, inputs, trace, STEPS, placement):
        found = {e: n for e, n in layer.counts.items() if n and e is not Event.SYNAPSE_STORED}
        wanted = {event: n / SAMPLES for event, n in layers[layer.layer].items() if n}
        assert found == wanted, layer.layer
    assert sum(layers["many"].values()) > 100
    assert layers["last"][Event.MULTIPLY] > 0


def test_time_is_the_sum_of_the_slowest_cores_of_each_step(
    case: tuple[Program, tuple[Values, ...], Trace, Placement],
) -> None:
    net, inputs, trace, placement = case
    _, cores = brute(*case)
    generation = (Event.NEURON_ACCESS, Event.NEURON_UPDATE, Event.SPIKE, Event.MESSAGE)

    def nanoseconds(core: Counter[Event], events: Callable[[Event], bool]) -> float:
        return sum(n * PROFILE.time(e).value for e, n in core.items() if events(e))  # type: ignore[union-attr]

    total = 0.0
    for sample in cores:
        for step in sample:
            total += max(
                max(
                    nanoseconds(core, lambda e: e in generation),
                    nanoseconds(core, lambda e: e not in generation),
                )
                for core in step.values()
            )
    tally = Tally(net, (PROFILE,), placement)
    tally.add(inputs, trace, STEPS)
    (found,) = tally.estimates(samples=SAMPLES, steps=STEPS)
    assert found.latency is not None
    barrier = 15.2e-6  # of two chips
    expected = total * 1e-9 / SAMPLES + barrier * trace.steps
    assert found.latency.sample.value == pytest.approx(expected, rel=1e-12)
    assert found.latency.step.value == pytest.approx(expected / trace.steps, rel=1e-12)
    assert found.latency.steps == trace.steps
    assert found.latency.queued is not None
    assert found.latency.queued >= expected * (1 - 1e-12)
    worst = found.latency.slowest[0]
    assert worst.layers == placement.layers(worst.core)
    assert found.static is not None
    assert found.static.value == pytest.approx(2 * 0.104 * expected, rel=1e-12)
    assert found.value == pytest.approx(sum(found.by_event.values()), rel=1e-12)


def test_samples_in_blocks_give_what_they_give_together(
    case: tuple[Program, tuple[Values, ...], Trace, Placement],
) -> None:
    net, inputs, trace, placement = case
    together, apart = Tally(net, (PROFILE,), placement), Tally(net, (PROFILE,), placement)
    together.add(inputs, trace, STEPS)
    for sample in range(SAMPLES):
        one = (Values(name="in", values=by_name(inputs, "in")[sample : sample + 1]),)
        apart.add(one, ReferenceBackend().run(net, one, EVERYTHING), STEPS)
    (first,) = together.estimates(samples=SAMPLES, steps=STEPS)
    (second,) = apart.estimates(samples=SAMPLES, steps=STEPS)
    assert first.value == pytest.approx(second.value, rel=1e-12)
    assert [layer.count for layer in first.layers] == [layer.count for layer in second.layers]
    assert first.latency is not None
    assert second.latency is not None
    assert first.latency.slowest == second.latency.slowest
    assert first.latency.sample.value == pytest.approx(second.latency.sample.value, rel=1e-12)
    assert first.latency.queued == pytest.approx(second.latency.queued, rel=1e-12)


def test_little_memory_gives_the_same_times(
    case: tuple[Program, tuple[Values, ...], Trace, Placement], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, inputs, trace, placement = case
    latencies = []
    for cells in (1 << 21, 40):
        monkeypatch.setattr("snn_deploy.deploy.energy.work.CELLS", cells)
        monkeypatch.setattr("snn_deploy.deploy.energy.queues.MESSAGES", cells)
        monkeypatch.setattr("snn_deploy.deploy.energy.arrivals.PAIRS", cells)
        tally = Tally(net, (PROFILE,), placement)
        tally.add(inputs, trace, STEPS)
        (found,) = tally.estimates(samples=SAMPLES, steps=STEPS)
        assert found.latency is not None
        latencies.append((found.latency.sample.value, found.latency.queued))
    assert latencies[0] == pytest.approx(latencies[1], rel=1e-12)
