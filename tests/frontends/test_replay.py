"""A network that differs from the module it was read from is caught, where it differs first."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import GraphError
from snn_deploy.frontends import load
from snn_deploy.frontends.capture import compare_with_module
from snn_deploy.frontends.capture.comparison import replay
from snn_deploy.frontends.capture.module import sample_of
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.network import Network, Reset
from snn_deploy.ir.neuron import Compare, ResetKind

torch = pytest.importorskip("torch")
snntorch = pytest.importorskip("snntorch")
nn = torch.nn

pytestmark = pytest.mark.torch


def leaky(threshold: float = 0.5) -> Any:
    return snntorch.Leaky(beta=0.5, threshold=threshold, init_hidden=True)


@pytest.fixture
def module() -> Any:
    """Return a row of layers with dyadic weights: its sums are exact."""
    torch.manual_seed(5)
    made = nn.Sequential(nn.Linear(6, 8), leaky(), nn.Linear(8, 4), leaky(0.25))
    for parameter in (*made[0].parameters(), *made[2].parameters()):
        parameter.data = torch.round(parameter.data * 16) / 8
    return made


@pytest.fixture
def sample() -> np.ndarray:
    return np.rint(8 * sample_of((6,), 24)) / 4


def changed(network: Network, name: str, **fields: Any) -> Network:
    """Return the network with other fields of one population."""
    return replace(
        network,
        populations=tuple(
            replace(p, **fields) if p.name == name else p for p in network.populations
        ),
    )


def test_a_row_of_layers_is_compared_too_if_there_is_a_sample(module, sample):
    imported = load(module, sample=sample)
    compared = compare_with_module(module, imported.network, sample)
    assert compared.exact
    assert compared.silent == ()
    assert [(p.name, p.neurons, p.differences) for p in compared.populations] == [
        ("1", 8, 0),
        ("3", 4, 0),
    ]
    assert imported.findings == ()


def test_another_reset_is_caught_in_the_layer_that_has_it_and_in_no_other(module, sample):
    network = load(module, sample=sample).network
    wrong = changed(network, "1", reset=Reset(kind=ResetKind.VALUE))
    compared = compare_with_module(module, wrong, sample)
    assert not compared.agrees
    assert {p.name: p.agrees for p in compared.populations} == {"1": False, "3": True}
    first = compared.populations[0].first
    assert first is not None
    assert not first.near
    with pytest.raises(GraphError) as caught:
        replay(module, wrong, sample)
    assert str(caught.value) == (
        "error[SNN206]: the network that was read does not compute what the module computes: "
        f"1 sends {first.ours:g} in step {first.step} from neuron {list(first.neuron)}, and the "
        f"module's neuron {first.theirs:g}\n"
        f"  at: 1{list(first.neuron)}, step {first.step}\n"
        "  fix: this layer, or what feeds it, has a part that was not read: please report it, and "
        "write the network as NIR meanwhile"
    )


def test_a_tie_decided_otherwise_is_near_the_threshold_and_a_finding(module):
    module[0].weight.data = torch.eye(8, 6)
    module[0].bias.data.zero_()
    sample = np.random.default_rng(2).integers(0, 5, (24, 6)) / 8
    network = load(module, sample=sample).network
    wrong = changed(network, "1", compare=Compare.GREATER_EQUAL)
    compared = compare_with_module(module, wrong, sample)
    assert compared.agrees
    assert not compared.exact
    population = compared.populations[0]
    assert population.first is not None
    (finding,) = replay(module, wrong, sample)
    assert str(finding) == (
        f"rounded    1: {population.differences} neurons of 8 from step {population.first.step} "
        "on; their membranes lie within float32's rounding of the threshold, and the module's "
        "arithmetic decides otherwise than ours"
    )


def test_another_threshold_is_caught(module, sample):
    network = load(module, sample=sample).network
    wrong = changed(network, "3", threshold=np.asarray(0.75))
    assert not compare_with_module(module, wrong, sample).agrees


def test_weights_a_little_off_are_caught_in_a_readout(sample):
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(6, 8), leaky(0.2), nn.Linear(8, 3))
    network = load(module, sample=sample).network
    last = network.projections[-1]
    weight = last.map.numbers() * 1.01
    projections = (*network.projections[:-1], replace(last, map=replace(last.map, weight=weight)))
    wrong = replace(network, projections=projections)
    compared = compare_with_module(module, wrong, sample)
    assert all(p.agrees for p in compared.populations)
    assert not compared.agrees
    (output,) = compared.outputs
    with pytest.raises(GraphError) as caught:
        replay(module, wrong, sample)
    assert str(caught.value) == (
        "error[SNN206]: the network that was read does not give what the module gives: the outputs "
        f"differ by up to {output.largest:.3g}\n  at: output\n"
        "  fix: return what the last layer gives in every step, or its sum or mean over them"
    )


def test_a_silent_population_is_named(sample):
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(6, 8), leaky(1e6))
    network = load(module, sample=sample).network
    assert compare_with_module(module, network, sample).silent == ("1",)


def test_the_module_is_left_as_it_was_when_it_raises(module, sample):
    imported = load(module, sample=sample)
    module.append(nn.Linear(5, 2))
    before = [dict(vars(part)) for part in module.modules()]
    with pytest.raises(Exception, match="the module raises RuntimeError"):
        compare_with_module(module, imported.network, sample)
    for part, held in zip(module.modules(), before, strict=True):
        assert vars(part) == held
        assert not part._forward_hooks
    assert module.training


def test_a_layer_that_fires_for_one_of_several_samples_was_compared(module, sample):
    quiet = np.zeros_like(sample)
    module[0].bias.data[:] = 0
    module[2].bias.data[:] = 0

    def told(*samples: np.ndarray) -> list[tuple[Kind, str]]:
        imported = load(module, sample=np.stack(samples), sample_shape=(6,))
        return [(finding.kind, finding.layer) for finding in imported.findings]

    assert told(sample) == []
    assert told(quiet, sample) == []
    assert told(quiet, quiet) == [(Kind.UNPROVEN, "1"), (Kind.UNPROVEN, "3")]
