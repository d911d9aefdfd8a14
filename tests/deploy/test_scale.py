"""The memory of an export follows its weights, a few copies of them and no more."""

import itertools
import tracemalloc
from pathlib import Path

import nir
import numpy as np
import pytest
from strategies import unchecked

import snn_deploy
from snn_deploy.backends.lava.worst import _heaviest
from snn_deploy.ir.maps import BLOCK, Dense, row_blocks, to_sparse

INPUTS, NEURONS = 100, 10_000
"""A million weights, each of its own."""


def written(folder: Path, neurons: int) -> Path:
    """Write a network of a layer in which every neuron has a weight from every input."""
    one = np.ones(neurons, np.float32)
    weight = np.random.default_rng(0).standard_normal((neurons, INPUTS), np.float32)
    nodes = {
        "input": nir.Input(np.array([INPUTS])),
        "fc": nir.Linear(weight),
        "lif": nir.LIF(tau=0.02 * one, r=one, v_leak=0 * one, v_threshold=one),
        "output": nir.Output(np.array([neurons])),
    }
    path = folder / f"{neurons}.nir"
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    return path


def test_an_export_takes_less_than_ninety_bytes_of_memory_for_a_weight(tmp_path: Path) -> None:
    options = {"dialect": "nir", "dt": 1e-3, "target": "loihi2"}
    snn_deploy.export(written(tmp_path, 10), output=tmp_path / "first", **options)  # imports
    model = written(tmp_path, NEURONS)
    with unchecked():
        tracemalloc.start()
        try:
            deployment = snn_deploy.export(model, output=tmp_path / "second", **options)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert sum(p.map.numbers().size for p in deployment.program.projections) >= INPUTS * NEURONS
    assert peak < 90 * INPUTS * NEURONS


@pytest.mark.parametrize(("post", "pre"), [(0, 3), (3, 0), (1, 1), (5, BLOCK // 2), (7, 2 * BLOCK)])
def test_the_blocks_of_a_matrix_are_its_rows(post: int, pre: int) -> None:
    weight = np.zeros((post, pre), np.int8)
    weight[:, : min(pre, 5)] = np.arange(post)[:, None]
    linear = Dense(weight=weight)
    parts = list(row_blocks(linear))
    assert np.array_equal(np.concatenate([part.weight for _, part in parts]), weight)
    assert [rows.start for rows, _ in parts] == [0, *(rows.stop for rows, _ in parts[:-1])]
    assert all(part.weight.size <= max(BLOCK, pre) for _, part in parts)


def test_the_heaviest_sum_of_a_matrix_is_that_of_its_synapses() -> None:
    rng = np.random.default_rng(3)
    linear = Dense(weight=rng.integers(-(2**31), 2**31, (3000, 500)).astype(np.int32))
    assert _heaviest(linear) == _heaviest(to_sparse(linear))
