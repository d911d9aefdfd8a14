"""The papers' convention: MACs of the ANN, ACs of the SNN, priced by arithmetic alone."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.ann import AC_45NM, MAC_45NM, AnnComparison, has_loop, joules
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.ir.program import Role


def chain(*middle: tuple[str, nir.NIRNode], shape: tuple[int, ...], out: int) -> nir.NIRGraph:
    nodes = {"input": nir.Input(np.array(shape))} | dict(middle)
    nodes["output"] = nir.Output(np.array([out]))
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))


def neurons(*shape: int, threshold: float = 1.5) -> nir.IF:
    return nir.IF(r=np.ones(shape), v_threshold=np.full(shape, threshold))


def compared(graph: nir.NIRGraph, data: np.ndarray, **options: Any) -> AnnComparison:
    deployment = snn_deploy.export(graph, dialect="nir", dt=1.0, target="cpu", **options)
    return snn_deploy.estimate(deployment, input=data, profile="horowitz-45nm").ann


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return (np.random.default_rng(6).random((3, 10, 1, 6, 6)) < 0.4).astype(np.uint8)


def convolutional() -> nir.NIRGraph:
    """A convolution, a sum-pool before a matrix, and a readout that never fires."""
    kernel = np.random.default_rng(8).integers(-2, 4, (2, 1, 3, 3)).astype(float)
    return chain(
        ("conv", nir.Conv2d((6, 6), kernel, 1, 1, 1, 1, np.zeros(2))),
        ("if", neurons(2, 6, 6)),
        ("pool", nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))),
        ("flat", nir.Flatten({"input": np.array([2, 3, 3])}, 0)),
        ("fc", nir.Linear(np.random.default_rng(9).integers(-3, 4, (3, 18)).astype(float))),
        ("li", nir.I(r=np.ones(3))),
        shape=(1, 6, 6),
        out=3,
    )


def test_the_ann_multiplies_once_per_sample_and_the_snn_adds_per_spike(
    images: np.ndarray,
) -> None:
    found = compared(convolutional(), images)
    inside = sum(min(3, y + 2, 7 - y) * min(3, x + 2, 7 - x) for y in range(6) for x in range(6))
    assert found.ann_macs == 2 * inside + 3 * 18
    assert found.ann_neurons == 2 * 6 * 6
    assert found.times == 1
    assert found.snn_macs == 0
    conv, fc = found.layers
    reach = np.zeros((6, 6))
    for y, x in np.ndindex(6, 6):
        reach[y, x] = 2 * min(3, y + 2, 7 - y) * min(3, x + 2, 7 - x)
    assert conv.snn_acs == pytest.approx(float((images * reach).sum()) / 3)
    deployment = snn_deploy.export(convolutional(), dialect="nir", dt=1.0, target="cpu")
    spikes = snn_deploy.simulate(deployment, input=images).activity[0].spikes
    assert fc.snn_acs == pytest.approx(3 * spikes)  # the pool is folded into the matrix


def test_each_operation_has_its_price(images: np.ndarray) -> None:
    found = compared(convolutional(), images)
    assert found.ann_energy == found.ann_macs * MAC_45NM
    assert found.snn_energy == pytest.approx(found.snn_acs * AC_45NM)
    assert [(e.device.name, e.value) for e in found.devices] == [
        (name, pytest.approx((found.ann_macs + found.ann_neurons) * price))
        for name, price in [("CPU", 8.6e-9), ("GPU", 0.3e-9), ("ARM", 0.9e-9)]
    ]


def test_keras_spiking_gives_the_same_energy_for_the_example_of_its_documentation() -> None:
    graph = chain(
        ("fc", nir.Linear(np.ones((128, 784)))), ("if", neurons(128)), shape=(784,), out=128
    )
    found = compared(graph, np.zeros((1, 2, 784), np.uint8))
    assert f"{found.devices[0].value:.2e}" == "8.64e-04"


def test_a_layer_that_reads_graded_values_multiplies() -> None:
    graph = chain(("fc", nir.Linear(np.ones((2, 2)))), ("if", neurons(2)), shape=(2,), out=2)
    graded = np.array([[[3, 0], [1, 1], [0, 0]], [[0, 2], [2, 2], [1, 0]]])
    found = compared(graph, graded, input_range="0:3")
    assert (found.snn_macs, found.snn_acs) == ((2 + 2 + 4) / 2, (4 + 2) / 2)
    assert found.snn_energy == pytest.approx(4 * MAC_45NM + 3 * AC_45NM)


def test_a_neuron_that_fires_twice_in_a_step_adds_twice() -> None:
    graph = chain(
        *(("fc", nir.Linear(np.array([[3.0, 0.0], [0.0, 1.0]]))), ("several", neurons(2))),
        *(("out", nir.Linear(np.ones((2, 2)))), ("if", neurons(2, threshold=9.5))),
        shape=(2,), out=2,
    )  # fmt: skip
    deployment = snn_deploy.export(graph, dialect="sinabs", dt=1.0, target="cpu")
    data = (np.random.default_rng(2).random((3, 8, 2)) < 0.5).astype(np.uint8)
    found = snn_deploy.estimate(deployment, input=data, profile="horowitz-45nm", neurobench=True)
    first = snn_deploy.simulate(deployment, input=data).activity[0]
    assert first.spikes > first.active * 2 * 8  # several in a step
    assert (found.ann.layers[1].snn_acs, found.ann.snn_macs) == (pytest.approx(2 * first.spikes), 0)
    assert found.neurobench is not None
    assert found.neurobench.integers.effective_macs > 0


def test_the_ann_of_a_network_with_a_loop_computes_every_step() -> None:
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.eye(2)),
        "if": neurons(2),
        "back": nir.Linear(np.ones((2, 2))),
        "late": nir.Delay(np.ones(2)),
        "output": nir.Output(np.array([2])),
    }
    edges = [*itertools.pairwise(["input", "fc", "if", "output"])]
    edges += [*itertools.pairwise(["if", "back", "late", "if"])]
    found = compared(nir.NIRGraph(nodes, edges), np.zeros((2, 7, 2), np.uint8))
    assert (found.times, found.ann_macs) == (7, 7 * (4 + 4))
    assert found.devices[0].value == pytest.approx(7 * (8 + 2) * 8.6e-9)
    assert "56 MACs in 7 steps" in str(found)


@pytest.mark.parametrize(
    ("edges", "wanted"),
    [
        ([], False),
        ([("a", "b"), ("b", "c"), ("a", "c")], False),
        ([("a", "a")], True),
        ([("a", "b"), ("b", "c"), ("c", "b")], True),
    ],
)
def test_a_loop_is_found(edges: list[tuple[str, str]], wanted: bool) -> None:
    assert has_loop(edges) == wanted


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    graph = chain(("fc", nir.Linear(np.eye(2))), ("if", neurons(2)), shape=(2,), out=2)
    return snn_deploy.export(graph, dialect="nir", dt=1.0)


def test_a_network_of_integers_is_compared_as_its_program(deployment: Deployment) -> None:
    data = (np.random.default_rng(3).random((4, 9, 2)) < 0.4).astype(np.uint8)
    biased = snn_deploy.export(
        chain(*(("fc", nir.Affine(np.eye(2), np.ones(2))), ("if", neurons(2))), shape=(2,), out=2),
        dialect="nir",
        dt=1.0,
    )
    assert any(p.role is Role.CLOCK for p in biased.program.populations)
    for one in (deployment, biased):
        trained, integers = (
            snn_deploy.estimate(d, input=data).ann for d in (one, replace(one, nir=None))
        )
        assert integers == trained


def test_the_comparison_is_printed(deployment: Deployment, golden: Callable[[str], None]) -> None:
    data = (np.random.default_rng(3).random((4, 9, 2)) < 0.4).astype(np.uint8)
    golden(f"{snn_deploy.estimate(deployment, input=data).ann}\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 pJ"),
        (4.6e-12, "4.6 pJ"),
        (1.5e-9, "1.5 nJ"),
        (2e-6, "2 uJ"),
        (3.25e-3, "3.25 mJ"),
        (7.0, "7 J"),
    ],
)
def test_an_energy_has_a_unit_that_suits_it(value: float, text: str) -> None:
    assert joules(value) == text
