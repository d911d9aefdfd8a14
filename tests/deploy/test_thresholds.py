"""Thresholds times a factor: the program is that of the network with other thresholds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.thresholds import parse_thresholds, spiking, with_thresholds
from snn_deploy.errors import OptionError
from snn_deploy.frontends import Imported, load
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import ResetKind
from snn_deploy.quantize import compile_network
from snn_deploy.targets import find_target


@pytest.fixture(scope="module")
def found(demo_network: Path) -> Imported:
    return load(demo_network)


def test_an_export_compiles_the_moved_thresholds_and_says_so(
    demo_network: Path, found: Imported, tmp_path: Path
) -> None:
    options = {"thresholds": "lif1=1.2,lif3=0.9", "preset": "plain"}
    deployment = snn_deploy.export(demo_network, output=tmp_path / "net", **options)
    factors = {"lif1": 1.2, "lif3": 0.9}
    populations = tuple(
        replace(p, threshold=np.asarray(p.threshold * factors.get(p.name, 1.0)))
        for p in found.network.populations
    )
    network = replace(found.network, populations=populations)
    target = find_target("loihi2")
    expected = compile_network(network, target, encoding=found.encoding).program
    assert deployment.program.digest == expected.digest
    told = [(f.layer, f.amount) for f in deployment.findings if f.kind is Kind.CHANGED]
    assert told == [
        ("lif1", "the threshold is 1.2 times the trained one"),
        ("lif3", "the threshold is 0.9 times the trained one"),
    ]
    assert deployment.nir == found.nir_bytes  # what was trained stays to compare with


def test_a_reset_that_subtracts_the_threshold_moves_along(found: Imported) -> None:
    threshold = np.asarray([2.0])
    populations = list(found.network.populations)
    for index, amount in ((0, threshold), (1, np.asarray([1.0]))):
        reset = Reset(kind=ResetKind.SUBTRACT, amount=amount)
        populations[index] = replace(populations[index], threshold=threshold, reset=reset)
    network = replace(found.network, populations=tuple(populations))
    moved = with_thresholds(replace(found, network=network), {"*": 1.5}).network
    assert [p.threshold for p in moved.populations[:2]] == [3.0, 3.0]
    assert [p.reset.amount for p in moved.populations[:2]] == [3.0, 1.0]


def test_only_neurons_that_fire_have_a_threshold_to_move(found: Imported) -> None:
    assert spiking(found) == ("lif1", "lif2", "lif3")


def test_texts_and_mappings_say_factors() -> None:
    assert parse_thresholds(None) == {}
    assert parse_thresholds("1.1") == {"*": 1.1}
    assert parse_thresholds("0.9, lif1=1.2") == {"*": 0.9, "lif1": 1.2}
    assert parse_thresholds({"lif1": 2}) == {"lif1": 2.0}


@pytest.mark.parametrize("text", ["x", "lif1=", "lif1=0", "lif1=1,lif1=2", "-1", "inf", "nan", ""])
def test_no_factors_are_refused(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_thresholds(text)
    assert str(caught.value) == (
        f"error[SNN102]: {text!r} says no factors of thresholds\n"
        "  at: --thresholds\n"
        "  fix: --thresholds 1.1, or --thresholds lif1=1.2,lif2=0.9"
    )


def test_layers_that_are_none_or_never_fire_are_refused(
    demo_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(demo_network), "--output", str(tmp_path / "net"), "--thresholds"]
    assert run([*words, "lif=1.2"]) == 2
    assert capsys.readouterr().err == (
        "error[SNN102]: a threshold of 'lif', but no layer has that name; there are lif1, lif2, "
        "lif3, li\n"
        "  at: --thresholds\n"
        "  fix: --thresholds lif3=1.2\n"
    )
    assert run([*words, "li=1.2"]) == 1
    assert capsys.readouterr().err == (
        "error[SNN301]: the threshold of li cannot be moved: it never fires, or its threshold "
        "changes over time\n"
        "  at: li\n"
        "  fix: --thresholds without li\n"
    )
