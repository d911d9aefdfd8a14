"""NeuroBench's own package is the oracle of its metrics; a plain loop is that of our counts."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy import runs
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.neurobench import (
    Metrics,
    NeuroBench,
    Watched,
    footprint_of_network,
    footprint_of_program,
    trained_metrics,
)
from snn_deploy.deploy.operations import Tally
from snn_deploy.ir.network import Between, Boundary
from snn_deploy.ir.program import Role
from snn_deploy.ir.trace import Values

SNNTORCH_BUFFERS = 12
"""Bytes that snnTorch keeps in each Leaky beside decay and threshold: the factor of graded spikes
and the number of the reset."""


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def dyadic(torch: Any, network: Any) -> None:
    """Give a network weights that are short binary fractions, some of them 0."""
    generator = torch.Generator().manual_seed(5)
    for parameter in network.parameters():
        drawn = torch.randint(-6, 10, parameter.shape, generator=generator)
        parameter.data = drawn.to(torch.float32) / 32


def oracle(torch: Any, network: Any, data: np.ndarray, batch: int) -> dict[str, Any]:
    """Return what NeuroBench's package gives for data [sample, step, *shape]."""
    pytest.importorskip("neurobench")
    from snntorch import SpikingNeuron

    SpikingNeuron.instances[:] = network  # it resets every neuron that any test has made
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics import static, workload
    from neurobench.models import SNNTorchModel

    samples = torch.utils.data.TensorDataset(
        torch.tensor(data, dtype=torch.float32), torch.zeros(len(data))
    )
    loader = torch.utils.data.DataLoader(samples, batch_size=batch)
    for layer in network:
        if hasattr(layer, "mem"):
            layer.mem = torch.zeros(0)  # the membranes of its last run are in its footprint
    chosen = [
        [static.Footprint, static.ConnectionSparsity],
        [workload.ActivationSparsity, workload.SynapticOperations, workload.MembraneUpdates],
    ]
    with torch.no_grad():
        benchmark = Benchmark(SNNTorchModel(network), loader, [], [], chosen)
        found: dict[str, Any] = benchmark.run(quiet=True)
    return found


def assert_same(mine: Metrics, theirs: dict[str, Any], layers: int) -> None:
    assert mine.footprint + SNNTORCH_BUFFERS * layers == theirs["Footprint"]
    assert mine.connection_sparsity == pytest.approx(theirs["ConnectionSparsity"], abs=5e-5)
    assert mine.activation_sparsity == pytest.approx(theirs["ActivationSparsity"], rel=1e-12)
    assert mine.effective_macs == theirs["SynapticOperations"]["Effective_MACs"]
    assert mine.effective_acs == theirs["SynapticOperations"]["Effective_ACs"]
    assert mine.dense == theirs["SynapticOperations"]["Dense"]
    assert mine.membrane_updates == theirs["MembraneUpdates"]


def fully_connected(torch: Any, **options: Any) -> tuple[Any, np.ndarray, Metrics]:
    """Return a network, spikes and our metrics."""
    snn = pytest.importorskip("snntorch")
    lif = {"beta": 0.75, "init_hidden": True, **options}
    network = torch.nn.Sequential(
        *(torch.nn.Linear(20, 16), snn.Leaky(**lif)),
        *(torch.nn.Linear(16, 12, bias=False), snn.Leaky(**lif)),
        *(torch.nn.Linear(12, 4), snn.Leaky(**lif, output=True)),
    )
    dyadic(torch, network)
    spikes = (np.random.default_rng(3).random((6, 9, 20)) < 0.4).astype(np.int64)
    deployment = snn_deploy.export(network, target="cpu", sample_shape=(20,))
    mine = trained_metrics(deployment, Data.of((Values(name="input", values=spikes),)))
    return network, spikes, mine


@pytest.mark.torch
@pytest.mark.parametrize(("reset", "late"), [("subtract", True), ("zero", False), ("none", True)])
def test_neurobench_gives_the_same_metrics_for_a_fully_connected_network(
    torch: Any, reset: str, late: bool
) -> None:
    network, spikes, mine = fully_connected(torch, reset_mechanism=reset, reset_delay=late)
    assert mine.effective_macs == 0
    assert 0 < mine.effective_acs < mine.dense
    for batch in (1, 4):
        assert_same(mine, oracle(torch, network, spikes, batch), layers=3)


@pytest.mark.torch
def test_neurobench_sees_a_late_reset_to_zero_one_step_later(torch: Any) -> None:
    network, spikes, mine = fully_connected(torch, reset_mechanism="zero")
    theirs = oracle(torch, network, spikes, 1)
    assert mine.membrane_updates < theirs["MembraneUpdates"]
    assert_same(mine, theirs | {"MembraneUpdates": mine.membrane_updates}, layers=3)


@pytest.mark.torch
def test_neurobench_counts_a_recurrent_layer_the_same(torch: Any) -> None:
    snn = pytest.importorskip("snntorch")
    network = torch.nn.Sequential(
        *(torch.nn.Linear(20, 16), snn.RLeaky(beta=0.75, init_hidden=True, linear_features=16)),
        *(torch.nn.Linear(16, 4), snn.Leaky(beta=0.75, init_hidden=True, output=True)),
    )
    dyadic(torch, network)
    spikes = (np.random.default_rng(3).random((6, 9, 20)) < 0.4).astype(np.int64)
    deployment = snn_deploy.export(network, target="cpu", sample_shape=(20,))
    mine = trained_metrics(deployment, Data.of((Values(name="input", values=spikes),)))
    theirs = oracle(torch, network, spikes, 1)
    second_bias = 4 * 16  # the recurrent layer has one, which is added to the first
    assert_same(mine, theirs | {"Footprint": theirs["Footprint"] - second_bias}, layers=2)


@pytest.mark.torch
def test_neurobench_gives_the_same_metrics_for_a_convolutional_network(torch: Any) -> None:
    snn = pytest.importorskip("snntorch")
    lif = {"beta": 0.75, "init_hidden": True}
    network = torch.nn.Sequential(
        *(torch.nn.Conv2d(2, 4, 3, stride=2, padding=1), snn.Leaky(**lif)),
        *(torch.nn.AvgPool2d(2), torch.nn.Conv2d(4, 4, 3, padding=2, groups=2), snn.Leaky(**lif)),
        *(torch.nn.Flatten(), torch.nn.Linear(100, 4), snn.Leaky(**lif, output=True)),
    )
    dyadic(torch, network)
    images = np.random.default_rng(4).integers(0, 4, (5, 2, 12, 12))
    deployment = snn_deploy.export(
        network, target="cpu", sample_shape=(2, 12, 12), encode="current", steps=7,
        input_range="0:3",
    )  # fmt: skip
    mine = trained_metrics(deployment, Data.of((Values(name="input", values=images),)))
    assert mine.effective_macs > 0  # of pixels, and behind the pooling
    assert mine.effective_acs > 0  # into the readout
    steps = np.repeat(images[:, None], 7, axis=1)
    assert_same(mine, oracle(torch, network, steps, 1), layers=3)


def graph(**between: nir.NIRNode) -> nir.NIRGraph:
    """Two inputs, nodes between, and an IF neuron for each: a spike every other step."""
    nodes = {
        "input": nir.Input(np.array([2])),
        **between,
        "fc": nir.Linear(np.eye(2)),
        "if": nir.IF(r=np.ones(2), v_threshold=np.full(2, 1.5)),
        "output": nir.Output(np.array([2])),
    }
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))


def biased() -> nir.NIRGraph:
    """Neurons with a bias, which on Loihi comes from a clock neuron, and a readout behind them."""
    two = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Affine(2 * np.eye(2), np.array([0.5, -0.5])),
        "if": nir.IF(r=two, v_threshold=1.5 * two),
        "out": nir.Linear(np.array([[1.0, 0.0], [1.0, -1.0]])),
        "li": nir.I(r=two),
        "output": nir.Output(np.array([2])),
    }
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))


def samples() -> np.ndarray:
    return (np.random.default_rng(3).random((9, 30, 2)) < 0.4).astype(np.uint8)


@pytest.fixture(scope="module")
def plain() -> Deployment:
    return snn_deploy.export(graph(), dialect="nir", dt=1.0)


def of(deployment: Deployment, **options: Any) -> NeuroBench:
    found = snn_deploy.estimate(deployment, input=samples(), neurobench=True, **options).neurobench
    assert found is not None
    return found


def same(found: NeuroBench) -> bool:
    assert found.trained is not None
    return replace(found.integers, footprint=found.trained.footprint) == found.trained


def test_integers_that_are_exact_have_the_metrics_of_the_network_at_any_lag_and_dilation(
    plain: Deployment,
) -> None:
    slow = snn_deploy.export(graph(), dialect="nir", dt=1.0, time_dilation="3")
    assert plain.program.lag > 0
    assert same(of(plain))
    assert same(of(slow))


def test_clock_neurons_are_in_our_own_counts_alone() -> None:
    deployment = snn_deploy.export(biased(), dialect="nir", dt=1.0)
    roles = [p.role for p in deployment.program.populations]
    assert Role.CLOCK in roles
    found = of(deployment)
    assert same(found)
    assert found.counts.synaptic_nonzero > found.integers.effective_acs


def test_relay_neurons_are_in_our_own_counts_alone() -> None:
    far = nir.Delay(np.full(2, 70.0))
    deployment = snn_deploy.export(graph(far=far), dialect="nir", dt=1.0)
    assert Role.RELAY in [p.role for p in deployment.program.populations]
    data = (np.random.default_rng(3).random((3, 100, 2)) < 0.4).astype(np.uint8)
    found = snn_deploy.estimate(deployment, input=data, neurobench=True).neurobench
    assert found is not None
    assert same(found)
    assert found.counts.synaptic_nonzero > found.integers.effective_acs > 0


def test_metrics_do_not_depend_on_the_blocks_that_samples_are_run_in(
    plain: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of(plain)
    monkeypatch.setattr(runs, "BLOCK_VALUES", 600)
    assert len(list(runs.blocks(Data.of((Values(name="input", values=samples()),)), plain, 4))) > 1
    assert of(plain) == whole


def test_a_continuous_run_has_one_first_step(plain: Deployment) -> None:
    fresh = of(plain)
    boundary = Boundary(between=Between.CONTINUOUS)
    found = of(replace(plain, program=replace(plain.program, boundary=boundary)))
    assert found.integers.dense == fresh.integers.dense
    assert found.integers.membrane_updates < fresh.integers.membrane_updates


def test_the_counts_are_those_of_a_loop_over_spikes(plain: Deployment) -> None:
    found, sent = of(plain), samples()
    spikes = int(sent.sum())
    fired = int((sent.sum(axis=1) // 2).sum())
    assert found.integers.effective_acs == spikes / 9
    assert found.integers.dense == 4 * 30
    assert found.integers.connection_sparsity == 0.5
    assert found.integers.activation_sparsity == pytest.approx(1 - fired / (9 * 30 * 2))
    assert found.counts.synaptic_stored == 2 * spikes / 9
    assert found.counts.synaptic_nonzero == spikes / 9


def test_a_network_of_integers_has_no_metrics_of_real_values(plain: Deployment) -> None:
    found = of(replace(plain, nir=None))
    assert found.trained is None
    assert found.integers == of(plain).integers
    assert "as trained" not in str(found)


def test_without_layers_or_neurons_that_fire_there_is_no_sparsity() -> None:
    metrics = Watched(Tally(()), ()).metrics(1, 0)
    assert metrics.connection_sparsity is None
    assert metrics.activation_sparsity is None


def test_packed_integers_are_counted_in_bits(plain: Deployment) -> None:
    (weights,) = (p.map.numbers().size for p in plain.program.projections)
    bits = weights * 8 + 24 + 12  # one threshold and one decay, of the whole population
    assert footprint_of_program(plain.program, plain.target) == -(-bits // 8)
    assert footprint_of_network(plain.network) == 4 * (4 + 2)
    with_bias = snn_deploy.export(biased(), dialect="nir", dt=1.0, target="cpu")
    assert footprint_of_network(with_bias.network) == 4 * (4 + 4 + 2 + 2 + 1)
    decays, others = 2, 2 + 1
    bits = 8 * 8 + 12 * decays + with_bias.program.arithmetic.membrane.bits * others
    assert footprint_of_program(with_bias.program, with_bias.target) == -(-bits // 8)


def test_a_delay_is_packed_with_its_weight(plain: Deployment) -> None:
    late = snn_deploy.export(graph(late=nir.Delay(np.array([3.0, 0.0]))), dialect="nir", dt=1.0)
    more = footprint_of_program(late.program, late.target) - footprint_of_program(
        plain.program, plain.target
    )
    assert more == 4 * 2 / 8  # two bits for each of four synapses


def test_neurobench_is_printed(plain: Deployment, golden: Callable[[str], None]) -> None:
    golden(f"{of(plain)}\n")


def test_the_command_gives_neurobench_where_it_is_asked_for(
    plain: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain.save(tmp_path / "net")
    np.savez(tmp_path / "data.npz", input=samples())
    words = ["estimate", str(tmp_path / "net"), "--input", str(tmp_path / "data.npz"), "--json"]
    for asked in (False, True):
        assert run([*words, *(["--neurobench"] if asked else [])]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["neurobench"] is not None) == asked
    assert record["neurobench"]["trained"]["dense"] == 120.0
    assert record["neurobench"]["counts"]["synaptic_nonzero"] > 0
