"""Bring in a network of neurons that no framework has: state them, and the rest is as ever.

Neurons that fire once, at a threshold that falls from step to step, driven by a current that keeps
what arrived; their answer is when they fired. The weights are random but seeded.
"""

import numpy as np

import snn_deploy
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear
from snn_deploy.ir.network import Synapse
from snn_deploy.ir.neuron import Compare, Decode, Tabled
from snn_deploy.ir.timing import Refractory, Table
from snn_deploy.ir.weighting import Weighting

STEPS, INPUTS, HIDDEN, CLASSES = 16, 24, 32, 5


def fires_once() -> Cell:
    """Return neurons of v += i, i += what arrives, that fire once where v >= 1 - t / T."""
    falling = 1 - np.arange(STEPS) / STEPS
    return Cell(
        decay=np.ones(()),
        synapse=Synapse(decay=np.ones(())),
        compare=Compare.GREATER_EQUAL,
        tables=(Table(what=Tabled.THRESHOLD, rows=falling),),
        refractory=Refractory(steps=None),
    )


def network() -> LayerGraph:
    """Return the layers, joined by name; each reads those that stand behind it."""
    generator = np.random.default_rng(0)
    graph = LayerGraph(inputs={"input": (INPUTS,)})
    graph.add("fc1", Linear(weight=generator.normal(0, 0.1, (HIDDEN, INPUTS))), "input")
    graph.add("hidden", fires_once(), "fc1")
    graph.add("fc2", Linear(weight=generator.normal(0, 0.1, (CLASSES, HIDDEN))), "hidden")
    graph.add("last", fires_once(), "fc2")
    graph.outputs["output"] = "last"
    graph.decodes["output"] = Decode.SPIKE_TIME
    graph.weights["output"] = Weighting.of(1 - np.arange(STEPS) / STEPS)
    return graph


def main() -> None:
    """Export for Loihi 2, compare both simulators, and compare with the real numbers."""
    spikes = (np.random.default_rng(1).random((20, STEPS, INPUTS)) < 0.05).astype(np.uint8)
    deployment = snn_deploy.export(network(), target="loihi2", calibrate={"input": spikes})
    print(snn_deploy.verify(deployment, input={"input": spikes}, against="reference"))
    print(snn_deploy.verify(deployment, input={"input": spikes}, against="network"))


if __name__ == "__main__":
    main()
