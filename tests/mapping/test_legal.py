"""Maps are legal: an independent checker finds nothing, and finds what is put wrong."""

import json
from collections.abc import Callable
from dataclasses import replace

import map_checker
import mapping_networks as networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import programs

from snn_deploy.deploy.mapping import CoreMap, Encoding, map_program
from snn_deploy.errors import CoresError
from snn_deploy.ir.program import Program, Sign
from snn_deploy.targets import Resource, find_target


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
@pytest.mark.parametrize("network", [networks.cnn, networks.vgg11])
def test_published_networks_map_within_every_known_limit(
    network: Callable[[str], Program], chip: str
) -> None:
    program = network(chip)
    core_map = map_program(program, find_target(chip))
    assert map_checker.problems(core_map.json(), program) == []


def test_limits_that_nobody_published_are_listed_as_unknown() -> None:
    program = networks.cnn("loihi2")
    assert map_program(program, find_target("loihi2"), cores=4).unknown == (
        *(Resource.INPUT_AXONS, Resource.OUTPUT_AXONS, Resource.SYNAPSE_MEMORY),
        *(Resource.NEURON_CONFIGURATIONS, Resource.THRESHOLDS, Resource.SYNAPSE_FORMATS),
    )


def test_a_hundred_thousand_neurons_map() -> None:
    program = networks.large()
    assert sum(p.map.numbers().size for p in program.projections) > 10_000_000
    core_map = map_program(program, find_target("loihi1"))
    assert sum(core.neurons for core in core_map.cores) == 100_000
    assert all(use.limit is None or use.most <= use.limit for use in core_map.uses)


def small(seed: int, neurons: int, fan_in: int) -> Program:
    """Return a network with every encoding, delays, groups, several parameters and a loop."""
    rng = np.random.default_rng(seed)
    pool = networks.convolution(rng, (4, 10, 10), 4, 2, stride=2, groups=4)
    first = networks.convolution(rng, (2, 12, 12), 4, 3)
    second = networks.convolution(rng, (4, 10, 10), 6, 3, padding=1, groups=2)
    decay = rng.integers(0, 3, (4, 1, 1)).astype(np.int32) * 100
    populations = (
        replace(networks.neurons("a", (4, 10, 10)), decay=decay),
        networks.neurons("pool", (4, 5, 5)),
        networks.neurons("b", (6, 10, 10)),
        replace(
            networks.neurons("c", (neurons,)),
            threshold=rng.integers(1, 5, neurons).astype(np.int32),
        ),
        networks.neurons("d", (3,)),
    )
    recurrent = networks.sparse(rng, neurons, neurons, fan_in)
    delays = rng.integers(1, 9, recurrent.weight.size).astype(np.int32)
    wide = networks.dense(rng, 600, neurons)
    wide = replace(wide, weight=8 * np.abs(wide.weight))
    return networks.program(
        (networks.entry((2, 12, 12)),),
        populations,
        (
            networks.link("in", "a", first),
            networks.link("a", "pool", pool),
            networks.link("a", "b", second, delay=2),
            networks.link("b", "c", wide, sign=Sign.EXCITATORY),
            networks.link("c", "c", recurrent, delay=delays),
            networks.link("pool", "d", networks.dense(rng, 100, 3)),
            networks.link("c", "d", networks.dense(rng, neurons, 3)),
        ),
    )


@settings(max_examples=4)
@given(
    seed=st.integers(0, 99),
    neurons=st.integers(12, 900),
    fan_in=st.integers(1, 12),
    spare=st.one_of(st.none(), st.integers(0, 20)),
    chip=st.sampled_from(["loihi1", "loihi2"]),
)
def test_every_encoding_and_every_number_of_cores_is_legal(
    seed: int, neurons: int, fan_in: int, spare: int | None, chip: str
) -> None:
    program, target = replace(small(seed, neurons, fan_in), target=chip), find_target(chip)
    core_map = map_program(program, target)
    if spare is not None:
        core_map = map_program(program, target, cores=len(core_map.cores) + spare)
    assert map_checker.problems(core_map.json(), program) == []


@settings(max_examples=15)
@given(case=programs())
def test_any_program_maps_or_is_refused_by_number(case: tuple[Program, object]) -> None:
    program = case[0]
    try:
        core_map = map_program(program, find_target("loihi1"))
    except CoresError:
        return
    for population in program.populations:
        assert core_map.core_of(population.name).min() >= 0
    assert all(use.limit is None or use.most <= use.limit for use in core_map.uses)


@pytest.fixture(scope="module")
def mapped() -> tuple[Program, CoreMap]:
    program = small(0, 700, 6)
    return program, map_program(program, find_target("loihi1"))


def test_all_encodings_are_used(mapped: tuple[Program, CoreMap]) -> None:
    assert {stored.encoding for stored in mapped[1].stored} == set(Encoding)


def _first(record: dict, population: str) -> dict:
    return next(c for c in record["cores"] if c["parts"][0]["population"] == population)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: _first(r, "c")["parts"].clear(), "c: not every neuron is on one core"),
        (lambda r: _first(r, "b").update(input_axons=1), "input axons, the map says 1"),
        (lambda r: _first(r, "a").update(output_axons=1), "output axons, the map says 1"),
        (lambda r: _first(r, "b")["synapse_bits"].update(shared=64), "bits, the map says 64"),
        (lambda r: _first(r, "c").update(thresholds=1), "thresholds, the map says 1"),
        (lambda r: [c.update(x=0, y=0) for c in r["cores"]], "more cores at a router than it has"),
        (lambda r: r["uses"][1].update(limit=None), "unknown limits are"),
    ],
)
def test_the_checker_finds_what_is_put_wrong(
    mapped: tuple[Program, CoreMap], change: Callable[[dict], object], complaint: str
) -> None:
    program, core_map = mapped
    record = json.loads(core_map.json())
    change(record)
    assert any(
        complaint in line for line in map_checker.problems(json.dumps(record).encode(), program)
    )
