"""Cores spread where their messages need the room, and stay together where they do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.deploy.mapping.core_map import Goal
from snn_deploy.deploy.mapping.placing import place, positions
from snn_deploy.deploy.mapping.spreading import Routes
from snn_deploy.targets import find_target
from snn_deploy.targets.cores import Mesh

MESH = find_target("loihi1").cores.mesh


def links(x, y, source, target):
    """List the links of a route: along the row first, then along the column."""
    at = [int(x[source]), int(y[source])]
    found = []
    for axis, end in ((0, int(x[target])), (1, int(y[target]))):
        while at[axis] != end:
            step = 1 if end > at[axis] else -1
            found.append((*at, axis, step))
            at[axis] += step
    return found


def crowding_by_hand(flow, x, y, buffer):
    held: dict[tuple[int, ...], float] = {}
    pairs = [(a, b) for a, b in np.argwhere(flow).tolist() if a != b]
    for a, b in pairs:
        route = links(x, y, a, b)
        for link in route:
            held[link] = held.get(link, 0.0) + flow[a, b] / (len(route) + 2)
    total = 0.0
    for a, b in pairs:
        route = links(x, y, a, b)
        over = sum(held[link] for link in route) - (len(route) + 1) * buffer
        total += flow[a, b] * max(over, 0.0) / (len(route) + 1)
    return total


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), cores=st.integers(1, 30), buffer=st.sampled_from([0, 2, 16]))
def test_crowding_is_what_a_walk_along_each_route_finds(seed: int, cores: int, buffer: int) -> None:
    rng = np.random.default_rng(seed)
    flow = rng.gamma(1.0, 30.0, (cores, cores)) * (rng.random((cores, cores)) < 0.4)
    _, x, y = positions(rng.permutation(128)[:cores], MESH, 128)
    found = Routes(flow, MESH, float(buffer)).crowding(x, y)
    assert found == pytest.approx(crowding_by_hand(flow, x, y, buffer), rel=1e-9, abs=1e-9)


def crowded(cores: int, messages: float) -> np.ndarray:
    """Two layers on as many cores: each core of the first sends to each of the second."""
    flow = np.zeros((cores, cores))
    flow[: cores // 2, cores // 2 :] = messages
    return flow


def crowding(flow: np.ndarray, site: np.ndarray, mesh: Mesh = MESH) -> float:
    _, x, y = positions(site % 128, mesh, 128)
    return Routes(flow, mesh, 16.0).crowding(x, y)


def test_cores_move_apart_until_no_route_is_full() -> None:
    flow = crowded(40, 5.0)
    together, hops = place(flow, MESH, 128, Goal.ENERGY)
    apart, more = place(flow, MESH, 128, Goal.LATENCY)
    assert crowding(flow, together) > 1000
    assert crowding(flow, apart) < 0.05 * crowding(flow, together)
    assert more > hops
    assert np.unique(apart).size == 40
    assert apart.max() < 128


def test_cores_stay_together_where_routes_have_room() -> None:
    flow = crowded(40, 0.05)
    together, _ = place(flow, MESH, 128, Goal.ENERGY)
    apart, _ = place(flow, MESH, 128, Goal.LATENCY)
    np.testing.assert_array_equal(apart, together)


def test_cores_of_each_chip_stay_on_it() -> None:
    flow = crowded(200, 2.0)
    together, _ = place(flow, MESH, 128, Goal.ENERGY)
    apart, _ = place(flow, MESH, 128, Goal.LATENCY)
    np.testing.assert_array_equal(apart // 128, together // 128)
    assert np.unique(apart).size == 200
    assert not np.array_equal(apart, together)
