"""Spikes with signs: reports count them, where a sum would let them cancel."""

import numpy as np
import pytest

import snn_deploy
from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear, Pool, Pooling
from snn_deploy.ir.neuron import Fires, Tabled
from snn_deploy.ir.timing import Table

SPIKES = (np.random.default_rng(0).random((4, 10, 6)) < 0.5).astype(np.uint8)


def signed() -> LayerGraph:
    """Return neurons that send 1 and -1 as often."""
    graph = LayerGraph(inputs={"input": (6,)})
    weight = np.random.default_rng(1).normal(0, 1, (5, 6))
    graph.add("fc", Linear(weight=np.concatenate([weight, -weight])), "input")
    graph.add("signs", Cell(decay=np.zeros(()), fires=Fires.TERNARY), "fc")
    graph.outputs["output"] = "signs"
    return graph


def test_every_spike_counts_whatever_its_sign():
    deployment = snn_deploy.export(signed(), target="cpu", calibrate={"input": SPIKES})
    x = SPIKES.astype(float) @ signed().nodes["fc"].layer.weight.T
    wanted = np.count_nonzero(np.abs(x) > 1) / len(SPIKES)
    (layer,) = (
        each
        for each in snn_deploy.simulate(deployment, input={"input": SPIKES}).activity
        if each.layer == "signs"
    )
    assert layer.spikes == pytest.approx(wanted, rel=0.03)
    assert layer.spikes == pytest.approx(layer.active * 10 * 10)
    labelled = {"input": SPIKES, "label": np.zeros(len(SPIKES), np.int64)}
    (judged,) = (
        each
        for each in snn_deploy.evaluate(deployment, data=labelled).activity
        if each.layer == "signs"
    )
    assert judged.spikes == layer.spikes


def test_a_max_pooling_of_spikes_of_several_sizes_is_refused():
    graph = LayerGraph(inputs={"input": (2, 4, 4)})
    table = Table(what=Tabled.PAYLOAD, rows=np.array([1.0, 0.25]), repeats=True)
    graph.add("sized", Cell(decay=np.ones(()), tables=(table,)), "input")
    pool = Pool(pooling=Pooling.MAX, kernel=(2, 2), stride=(2, 2), padding=(0, 0))
    graph.add("pool", pool, "sized")
    graph.add("last", Cell(decay=np.ones(())), "pool")
    graph.outputs["output"] = "last"
    with pytest.raises(UnknownNodeError) as caught:
        load(graph)
    assert str(caught.value) == (
        "error[SNN203]: a max-pooling is read only right behind neurons that send one spike a step"
        "\n  at: pool\n  fix: put it behind the neurons, or use an average pooling"
    )
