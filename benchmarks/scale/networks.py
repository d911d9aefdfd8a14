"""Networks of a size that is asked for, as NIR files, with random weights from a seed."""

from pathlib import Path

import nir
import numpy as np

FAN_IN = 100
"""Inputs of each neuron of the dense network."""

STEPS = 10


def _lif(*shape: int) -> nir.LIF:
    one = np.ones(shape, np.float32)
    return nir.LIF(tau=0.02 * one, r=one, v_leak=0 * one, v_threshold=one)


class Chain:
    """A NIR graph that grows node by node.

    Args:
        shape: Of the input.
    """

    def __init__(self, *shape: int) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array(shape))}
        self.edges: list[tuple[str, str]] = []
        self.shape, self.last = shape, "input"

    def add(self, name: str, node: nir.NIRNode, *sources: str) -> str:
        """Add a node behind `sources`, by default behind the last one."""
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources or (self.last,)]
        self.last = name
        return name

    def convolution(self, name: str, channels: int, side: int = 3, *, of: tuple[int, ...]) -> str:
        """Add a convolution that keeps height and width; `of` is what it reads."""
        weight = self.rng.standard_normal((channels, of[0], side, side), np.float32)
        node = nir.Conv2d(
            input_shape=of[1:],
            weight=weight * np.float32(6 / np.sqrt(of[0] * side**2)),
            stride=1,
            padding=side // 2,
            dilation=1,
            groups=1,
            bias=np.zeros(channels, np.float32),
        )
        return self.add(name, node)

    def end(self, path: Path) -> None:
        """Write the graph, and one input of spikes beside it."""
        self.add("output", nir.Output(np.array(self.shape)))
        nir.write(path, nir.NIRGraph(self.nodes, self.edges, type_check=False))
        given = (1, STEPS, *self.nodes["input"].input_type["input"])
        spikes = self.rng.random(given, np.float32) < 0.1
        np.savez(path.with_suffix(".npz"), input=spikes.astype(np.uint8), label=np.zeros(1, int))


def dense(neurons: int, path: Path) -> None:
    """Write a layer of so many neurons, each with a weight of its own from each of 100 inputs."""
    chain = Chain(FAN_IN)
    weight = 4 * chain.rng.standard_normal((neurons, FAN_IN), np.float32)
    chain.add("fc", nir.Linear(weight))
    chain.add("lif", _lif(neurons))
    chain.shape = (neurons,)
    chain.end(path)


def convolution(neurons: int, path: Path) -> None:
    """Write a layer of 64 channels, each neuron with 99 synapses: 11 channels of 3 x 3."""
    side = round((neurons / 64) ** 0.5)
    chain = Chain(11, side, side)
    chain.convolution("conv", 64, of=(11, side, side))
    chain.add("lif", _lif(64, side, side))
    chain.shape = (64, side, side)
    chain.end(path)


VGG = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)
"""Channels of VGG-11 (Simonyan and Zisserman 2015, table 1, A); 0: pooling."""


def vgg11(neurons: int, path: Path) -> None:
    """Write VGG-11 for 32 x 32 pixels with one dense layer, at its full width."""
    del neurons  # it has its own
    chain = Chain(3, 32, 32)
    shape: tuple[int, ...] = (3, 32, 32)
    for index, channels in enumerate(VGG):
        if not channels:
            two = np.array([2, 2])
            chain.add(f"pool{index}", nir.SumPool2d(two, two, 0 * two))
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
            continue
        chain.convolution(f"conv{index}", channels, of=shape)
        shape = (channels, *shape[1:])
        chain.add(f"lif{index}", _lif(*shape))
    _classes(chain, shape, path)


def resnet18(neurons: int, path: Path) -> None:
    """Write ResNet-18 for 32 x 32 pixels (He et al. 2016, table 1), at its full width."""
    del neurons  # it has its own
    chain = Chain(3, 32, 32)
    chain.convolution("stem", 64, of=(3, 32, 32))
    before = chain.add("stem.lif", _lif(64, 32, 32))
    shape: tuple[int, ...] = (64, 32, 32)
    for stage, channels in enumerate((64, 128, 256, 512)):
        if stage:
            two = np.array([2, 2])
            before = chain.add(f"{stage}.pool", nir.SumPool2d(two, two, 0 * two))
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
        for block in range(2):
            name = f"{stage}.{block}"
            chain.last = before
            chain.convolution(f"{name}.conv1", channels, of=shape)
            wide = (channels, *shape[1:])
            chain.add(f"{name}.lif1", _lif(*wide))
            last = chain.convolution(f"{name}.conv2", channels, of=wide)
            chain.last = before
            around = chain.convolution(f"{name}.around", channels, 1, of=shape)
            before = chain.add(f"{name}.lif2", _lif(*wide), last, around)
            shape = wide
    _classes(chain, shape, path)


def _classes(chain: Chain, shape: tuple[int, ...], path: Path) -> None:
    chain.add("flatten", nir.Flatten({"input": np.array(shape)}, start_dim=0))
    weight = chain.rng.standard_normal((10, int(np.prod(shape))), np.float32)
    chain.add("fc", nir.Linear(weight * np.float32(6 / np.sqrt(weight.shape[1]))))
    chain.add("classes", _lif(10))
    chain.shape = (10,)
    chain.end(path)


NETWORKS = {"dense": dense, "convolution": convolution, "vgg11": vgg11, "resnet18": resnet18}
"""What writes a network of about so many neurons, by its name."""
