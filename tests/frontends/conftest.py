"""Small NIR graphs, and what they compute."""

import itertools
from collections.abc import Callable

import nir
import numpy as np
import pytest

from snn_deploy.frontends import Imported, Overrides, load
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Trace, Values

Build = Callable[..., nir.NIRGraph]


@pytest.fixture(scope="session")
def build() -> Build:
    """Return a function that makes an unchecked graph of nodes and of edges such as "a b c"."""

    def make(nodes: dict[str, nir.NIRNode], *chains: str) -> nir.NIRGraph:
        edges = []
        for chain in chains:
            names = chain.split()
            edges += list(itertools.pairwise(names))
        return nir.NIRGraph(nodes=dict(nodes), edges=edges, metadata={}, type_check=False)

    return make


@pytest.fixture(scope="session")
def port() -> Callable[..., nir.NIRNode]:
    """Return a function that makes an Input of a shape."""
    return lambda *shape: nir.Input(input_type=np.array(shape))


@pytest.fixture(scope="session")
def out() -> Callable[..., nir.NIRNode]:
    """Return a function that makes an Output of a shape."""
    return lambda *shape: nir.Output(output_type=np.array(shape))


@pytest.fixture(scope="session")
def integrate() -> Callable[..., nir.NIRNode]:
    """Return a function that makes IF neurons of a shape: v += x at dt = 1."""

    def make(*shape: int, threshold: float = 1.0, v_reset: float = 0.0) -> nir.IF:
        return nir.IF(
            r=np.ones(shape),
            v_threshold=np.full(shape, threshold),
            v_reset=np.full(shape, v_reset),
        )

    return make


@pytest.fixture(scope="session")
def leaky() -> Callable[..., nir.NIRNode]:
    """Return a function that makes LIF neurons of a shape."""

    def make(*shape: int, tau: float = 4.0, r: float = 1.0, threshold: float = 1.0) -> nir.LIF:
        return nir.LIF(
            tau=np.full(shape, tau),
            r=np.full(shape, r),
            v_leak=np.zeros(shape),
            v_threshold=np.full(shape, threshold),
            v_reset=np.zeros(shape),
        )

    return make


@pytest.fixture(scope="session")
def read() -> Callable[..., Imported]:
    """Return a function that reads a graph the canonical way, with a step of 1."""

    def make(graph: nir.NIRGraph, **options: object) -> Imported:
        return load(graph, dialect="nir", overrides=Overrides(dt=1.0, **options))

    return make


@pytest.fixture(scope="session")
def run() -> Callable[..., Trace]:
    """Return a function that simulates a network on arrays [step, *shape], one per input."""

    def make(imported: Imported, **inputs: np.ndarray) -> Trace:
        values = [Values(name=name, values=np.asarray(x)[None]) for name, x in inputs.items()]
        return simulate(imported.network, values, EVERYTHING)

    return make
