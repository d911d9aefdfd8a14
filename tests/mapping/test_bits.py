"""Synapse lists take the bits that the chip's packing needs."""

from dataclasses import replace

import mapping_networks as networks
import numpy as np
import pytest

from snn_deploy.deploy.mapping.bits import Format, format_of
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.program import Sign
from snn_deploy.targets import find_target

PACKING = find_target("loihi1").cores.packing


@pytest.mark.parametrize(
    ("synapses", "delay", "index", "bits"),
    [  # SynapseConfig.bits_per_axon of nengo-loihi 1.1.0 says so, weights of 8 bits
        (0, 0, 0, 0),
        (1, 0, 0, 64),
        (6, 0, 0, 64),
        (7, 0, 0, 128),
        (64, 0, 0, 576),
        (65, 0, 0, 640),
        (64, 0, 10, 1216),
        (1024, 0, 0, 16 * 576),
        (100, 6, 8, 64 * 23 + 64 * 13),
    ],
)
def test_lists_are_packed_in_blocks_with_headers(
    synapses: int, delay: int, index: int, bits: int
) -> None:
    width = Format(weight=8, delay=delay, packing=PACKING)
    assert int(width.list_bits(synapses, index)) == bits


@pytest.mark.parametrize(
    ("weights", "sign", "bits"),
    [
        ([2, -256], Sign.MIXED, 8),
        ([4, 8], Sign.MIXED, 8),  # 7 bits are no width of the chip
        ([8, -64], Sign.MIXED, 6),
        ([32, -224], Sign.MIXED, 4),
        ([-256, 0], Sign.MIXED, 1),
        ([0, 0], Sign.MIXED, 1),
        ([1, 255], Sign.EXCITATORY, 8),
        ([16, 240], Sign.EXCITATORY, 4),
        ([-16, -240], Sign.INHIBITORY, 4),
    ],
)
def test_weights_take_the_bits_that_they_use(weights: list[int], sign: Sign, bits: int) -> None:
    linear = Dense(weight=np.asarray([weights], np.int32))
    assert (
        format_of(networks.link("a", "b", linear, sign=sign), find_target("loihi1")).weight == bits
    )


@pytest.mark.parametrize(("delay", "bits"), [(1, 0), (2, 1), (3, 2), (8, 3), (63, 6)])
def test_delays_take_bits_beyond_the_first_step(delay: int, bits: int) -> None:
    linear = Dense(weight=np.asarray([[2, 4]], np.int32))
    projection = replace(networks.link("a", "b", linear), delay=np.asarray(delay, np.int32))
    assert format_of(projection, find_target("loihi1")).delay == bits


def test_indices_have_the_widths_of_the_chip() -> None:
    width = Format(weight=8, delay=0, packing=PACKING)
    assert [width.index_bits(n) for n in (1, 64, 65, 1024, 1025)] == [6, 6, 7, 10, 11]


def test_where_the_packing_is_unknown_only_weights_and_delays_count() -> None:
    width = Format(weight=8, delay=3, packing=None)
    assert int(width.list_bits(100, 7 * width.index_bits(500))) == 1100
