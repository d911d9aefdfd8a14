"""What does not fit is refused with its resource, its amount and a way out that works."""

from dataclasses import replace

import mapping_networks as networks
import numpy as np
import pytest

from snn_deploy.deploy.mapping import map_program
from snn_deploy.errors import CoresError, OptionError, UnsupportedError
from snn_deploy.targets import find_target

LOIHI1 = find_target("loihi1")
RNG = np.random.default_rng(7)


def test_more_sources_than_a_core_has_axons_are_told() -> None:
    program = networks.chain([("fc1", networks.dense(RNG, 6912, 10))])
    with pytest.raises(CoresError) as caught:
        map_program(program, LOIHI1)
    assert str(caught.value) == (
        "error[SNN700]: fc1 needs 6912 input axons of 4096 on a core of loihi1, for 1 neuron\n"
        "  at: fc1\n"
        "  fix: split its inputs: let neurons in between take some of them each"
    )


def test_neurons_in_between_that_take_some_inputs_each_make_it_fit() -> None:
    half = networks.sparse(RNG, 6912, 200, 900)
    program = networks.chain([("between", half), ("fc1", networks.dense(RNG, 200, 10))])
    map_program(program, LOIHI1)


def test_a_loop_of_too_many_neurons_is_told() -> None:
    program = networks.program(
        (networks.entry((10,)),),
        (networks.neurons("loop", (5000,)),),
        (
            networks.link("in", "loop", networks.sparse(RNG, 10, 5000, 2)),
            networks.link("loop", "loop", networks.dense(RNG, 5000, 5000)),
        ),
    )
    with pytest.raises(CoresError, match="loop needs 5002 input axons of 4096"):
        map_program(program, LOIHI1)


def test_too_few_cores_are_told_with_what_would_be_short_and_how_many_it_takes() -> None:
    program = networks.chain(
        [("fc1", networks.dense(RNG, 4000, 200)), ("fc2", networks.dense(RNG, 200, 10))]
    )
    needed = len(map_program(program, LOIHI1, cores=100).cores)
    assert needed <= 100
    with pytest.raises(CoresError) as caught:
        map_program(program, LOIHI1, cores=3)
    assert str(caught.value) == (
        "error[SNN700]: the network does not fit on 3 cores: fc1 would need 3584000 bits of "
        "synapse memory of 1048576 on a core; loihi1 needs 8 cores for it, not 3\n"
        "  at: fc1\n"
        "  fix: --cores 8, or auto"
    )
    assert len(map_program(program, LOIHI1, cores=8).cores) == 8


def test_too_many_chips_are_told() -> None:
    layer = networks.sparse(RNG, 1000, 140_000, 2)
    program = networks.chain([("big", layer)])
    with pytest.raises(CoresError) as caught:
        map_program(program, LOIHI1, chips=1)
    assert str(caught.value) == (
        "error[SNN700]: the network needs 137 cores, which are 2 chips of loihi1 with 128 each; "
        "there is 1\n"
        "  fix: --chips 2 where there are so many, or a network of 93% of the size"
    )
    core_map = map_program(program, LOIHI1, chips=2, cores=140)
    assert (core_map.chips, core_map.board) == (2, "Kapoho Bay")


def test_a_chip_without_cores_is_refused() -> None:
    with pytest.raises(UnsupportedError) as caught:
        map_program(networks.cnn(), find_target("cpu"))
    assert str(caught.value) == (
        "error[SNN301]: cpu has no cores that populations could be mapped to\n"
        "  at: cpu\n"
        "  fix: --target loihi1 or loihi2, or a target with [cores]: docs/targets.md"
    )


@pytest.mark.parametrize(("cores", "chips", "words"), [(0, None, "0 cores"), (None, 0, "0 chips")])
def test_less_than_one_is_refused(cores: int | None, chips: int | None, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        map_program(networks.cnn(), LOIHI1, cores=cores, chips=chips)


def test_thresholds_of_one_core_are_no_more_than_it_has() -> None:
    population = networks.neurons("many", (100,))
    levels = np.arange(1, 101, dtype=np.int32)
    program = networks.program(
        (networks.entry((10,)),),
        (replace(population, threshold=levels),),
        (networks.link("in", "many", networks.dense(RNG, 10, 100)),),
    )
    core_map = map_program(program, LOIHI1, cores=13)
    assert max(core.thresholds for core in core_map.cores) == 8
    assert len(core_map.cores) == 13
