"""The map as data and as JSON."""

import json

import mapping_networks as networks
import numpy as np
import pytest

from snn_deploy.deploy.mapping import CoreMap, Part, map_program, read_core_map
from snn_deploy.errors import ArtifactDamagedError
from snn_deploy.targets import Resource, find_target

LOIHI1 = find_target("loihi1")


@pytest.fixture(scope="module")
def core_map() -> CoreMap:
    return map_program(networks.cnn(), LOIHI1, cores=30)


def test_equal_programs_give_equal_bytes(core_map: CoreMap) -> None:
    assert map_program(networks.cnn(), LOIHI1, cores=30).json() == core_map.json()


def test_the_json_holds_the_whole_map(core_map: CoreMap) -> None:
    assert read_core_map(core_map.json()) == core_map
    assert json.loads(core_map.json())["schema"] == "snn-deploy/core-map/1"


def test_the_json_has_a_line_for_each_core(core_map: CoreMap) -> None:
    lines = core_map.json().decode().splitlines()
    assert sum(line.startswith('    {"core": ') for line in lines) == len(core_map.cores)
    assert max(map(len, lines)) < 1000


def test_slices_are_the_neurons_of_a_core_in_c_order(core_map: CoreMap) -> None:
    for population in networks.cnn().populations:
        core_of = core_map.core_of(population.name)
        assert core_of.dtype == np.int32
        assert core_of.shape == (population.size,)
        for core in core_map.cores:
            for piece in (s for s in core.slices if s.population == population.name):
                assert set(core_of[piece.first : piece.end]) == {core.core}


def test_whole_feature_maps_are_one_slice() -> None:
    part = Part(population="p", grid=(4, 9), channels=(1, 3), places=(0, 9))
    assert [(s.first, s.end) for s in part.slices] == [(9, 27)]
    part = Part(population="p", grid=(4, 9), channels=(1, 3), places=(2, 5))
    assert [(s.first, s.end) for s in part.slices] == [(11, 14), (20, 23)]
    assert part.index.tolist() == [11, 12, 13, 20, 21, 22]


def test_a_population_that_is_not_there_is_a_key_error(core_map: CoreMap) -> None:
    with pytest.raises(KeyError):
        core_map.core_of("nobody")


def test_uses_name_the_core_that_uses_most(core_map: CoreMap) -> None:
    for use in core_map.uses:
        assert core_map.cores[use.core].used(use.resource) == use.most
        assert use.most == max(core.used(use.resource) for core in core_map.cores)
    assert core_map.unknown == (Resource.CORE_MEMORY,)


def test_another_schema_is_refused() -> None:
    with pytest.raises(ArtifactDamagedError) as caught:
        read_core_map(b'{"schema": "snn-deploy/core-map/9"}')
    assert str(caught.value) == (
        "error[SNN603]: this is no core-map that this version reads: its schema is "
        "'snn-deploy/core-map/9', not 'snn-deploy/core-map/1'\n"
        "  at: core_map.json\n"
        "  fix: read it with the version of snn-deploy that wrote it, or a later one"
    )


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"schema": "snn-deploy/core-map/1"}'])
def test_damaged_maps_are_refused(content: bytes) -> None:
    with pytest.raises(ArtifactDamagedError):
        read_core_map(content)
