"""What lava-dl's netx makes of weights and thresholds, at the edges of what it keeps."""

import numpy as np
import pytest

from snn_deploy.ir.netx import SILENT, UNREACHABLE, netx_keeps


def test_the_threshold_of_silent_layers_is_the_highest_that_the_chip_has():
    assert SILENT % UNREACHABLE == UNREACHABLE - 1
    assert SILENT.bit_length() == 18


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([[0, 0]], False),  # netx divides by the largest weight
        ([[0, 255]], True),
        ([[0, 256]], False),
        ([[-256, 254]], True),
        ([[-256, 255]], False),
        ([[-257, 254]], False),
        ([[-1, 300]], False),
        ([[-254, 0]], True),  # netx counts a sign bit too many, and the lowest bit is 0 anyway
        ([[-255, 0]], False),  # here it is not
        ([[-256, 0]], False),  # Lava takes it for one sign: 0..255
        ([[-128, 0]], False),  # netx shifts it to -256
        ([[-64, -64]], False),
    ],
)
def test_netx_keeps_what_fits_its_bits_and_those_of_lava(rows, kept):
    assert netx_keeps((np.array(rows),)) is kept
