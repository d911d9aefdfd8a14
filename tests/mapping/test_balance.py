"""Slices have equal load: what the activity says decides where they are cut."""

from itertools import pairwise

import mapping_networks as networks
import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.mapping import (
    Activity,
    CoreMap,
    Goal,
    assumed,
    map_front,
    map_program,
    measured,
)
from snn_deploy.ir.maps import Sparse
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import COUNTS, Values
from snn_deploy.targets import find_target

LOIHI1 = find_target("loihi1")


def one_to_one(neurons: int) -> Program:
    each = np.arange(neurons, dtype=np.int32)
    linear = Sparse(
        post=each,
        pre=each,
        weight=np.full(neurons, 2, np.int32),
        post_shape=(neurons,),
        pre_shape=(neurons,),
    )
    return networks.chain([("layer", linear)])


def active(program: Program, rate: np.ndarray) -> Activity:
    silent = {p.name: np.zeros(p.size) for p in program.populations}
    return Activity(rates={"in": rate, **silent})


def test_slices_are_cut_at_equal_load_not_at_equal_numbers_of_neurons() -> None:
    program = one_to_one(1000)
    rate = np.where(np.arange(1000) < 100, 9.0, 0.0)
    core_map = map_program(program, LOIHI1, active(program, rate), cores=4)
    times = [core.load.time for core in core_map.cores]
    assert len(times) == 4
    assert max(times) < 1.1 * np.mean(times)
    sizes = [core.neurons for core in sorted(core_map.cores, key=lambda c: c.slices[0].first)]
    assert (sizes[0] < 50, sizes[-1] > 800) == (True, True)


def test_load_is_what_arrives() -> None:
    program = networks.cnn()
    rng = np.random.default_rng(5)
    activity = Activity(rates={n.name: rng.random(n.size) for n in program.nodes})
    core_map = map_program(program, LOIHI1, activity, cores=40)
    operations = 0.0
    for projection in program.projections:
        triplets = projection.map.triplets()
        operations += activity.rates[projection.source][triplets.pre].sum()
    told = sum(core.load.operations for core in core_map.cores)
    assert told == pytest.approx(operations, rel=1e-6)
    spikes = sum(activity.rates[p.name].sum() for p in program.populations)
    assert sum(core.load.spikes for core in core_map.cores) == pytest.approx(spikes, rel=1e-6)
    # messages from neurons arrive; those of the input come from outside
    inputs = [c.load for c in core_map.cores if c.parts[0].population == "conv1"]
    sent = sum(core.load.messages_out for core in core_map.cores)
    arrived = core_map.messages - sum(load.messages_in for load in inputs)
    assert sent == pytest.approx(arrived, rel=1e-6)


def test_more_cores_are_faster_and_the_front_says_so() -> None:
    points = map_front(networks.cnn(), LOIHI1)
    assert len(points) > 3
    assert all(a.time > b.time for a, b in pairwise(points))
    assert all(a.cores <= b.cores for a, b in pairwise(points))


def test_the_goal_decides_how_many_cores_are_taken() -> None:
    program = networks.cnn()
    points = map_front(program, LOIHI1)
    fast = map_program(program, LOIHI1, optimize=Goal.LATENCY)
    frugal = map_program(program, LOIHI1, optimize=Goal.ENERGY)
    assert fast.step_time <= 1.05 * min(point.time for point in points)
    assert len(frugal.cores) == min(points, key=lambda point: point.energy).cores
    assert frugal.step_time >= fast.step_time


@pytest.mark.parametrize("cores", [12, 60])
def test_no_more_cores_are_taken_than_there_are(cores: int) -> None:
    core_map = map_program(networks.cnn(), LOIHI1, cores=cores)
    assert cores - 2 <= len(core_map.cores) <= cores


def small_layers() -> Program:
    rng = np.random.default_rng(3)
    return networks.chain([(f"layer{n}", networks.dense(rng, 20, 20)) for n in range(9)])


def test_small_layers_share_a_core() -> None:
    core_map = map_program(small_layers(), LOIHI1, cores=1)
    (core,) = core_map.cores
    assert [part.population for part in core.parts] == [f"layer{n}" for n in range(9)]
    assert core.neurons == 180


def test_activity_is_measured_on_runs() -> None:
    program = one_to_one(10)
    values = np.zeros((2, 4, 10), np.int32)
    values[:, :, 3] = 1
    values[0, 1, 5] = 1
    inputs = (Values(name="in", values=values),)
    trace = ReferenceBackend().run(program, inputs, COUNTS)
    found = measured(program, inputs, trace)
    np.testing.assert_allclose(found.rates["in"], [0, 0, 0, 1, 0, 1 / 8, 0, 0, 0, 0])
    events = trace["layer"].events.mean(axis=0) / 4
    np.testing.assert_allclose(found.rates["layer"], events)


def test_a_map_says_whether_its_loads_were_measured() -> None:
    program = small_layers()
    assert not map_program(program, LOIHI1).measured
    rates = {name: rate.copy() for name, rate in assumed(program).rates.items()}
    assert map_program(program, LOIHI1, Activity(rates=rates)).measured


def hops(core_map: CoreMap, program: Program) -> float:
    """Count the routers that messages pass, from the map alone."""
    at = {c.core: (c.chip, c.x, c.y) for c in core_map.cores}
    total = 0.0
    for projection in program.projections:
        if projection.source == "in":
            continue
        triplets = projection.map.triplets()
        source = core_map.core_of(projection.source)[triplets.pre]
        target = core_map.core_of(projection.target)[triplets.post]
        for pre, one, other in set(zip(triplets.pre.tolist(), source, target, strict=True)):
            del pre
            (chip, x, y), (there, to_x, to_y) = at[int(one)], at[int(other)]
            total += 0.1 * (abs(x - to_x) + abs(y - to_y)) * (chip == there)
    return total


def test_hops_are_counted_and_placement_makes_them_fewer_than_a_snake_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    program = networks.chain([(f"layer{n}", networks.sparse(rng, 1600, 1600, 8)) for n in range(4)])
    placed = map_program(program, LOIHI1, cores=40)
    assert placed.hops == pytest.approx(hops(placed, program), rel=1e-6)
    monkeypatch.setattr("snn_deploy.deploy.mapping.placing.SWAPS", 0)
    assert placed.hops < map_program(program, LOIHI1, cores=40).hops
