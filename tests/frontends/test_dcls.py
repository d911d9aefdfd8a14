"""Learned delays of DCLS: what its layers compute over time is what ours do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.errors import DynamicsError, ShapeError
from snn_deploy.frontends import dcls, load
from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.ir.neuron import Decode, Fires, State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

POST, PRE, STEPS = 3, 4, 30


def kernel(weight, position, size):
    """Return the kernel of the version `max` with a width of 0, [post, pre, place], as DCLS makes
    it of positions that are rounded and kept in range."""
    middle = np.clip(np.rint(position), -(size // 2), size // 2) + size // 2
    near = np.maximum(0, 1 - np.abs(np.arange(size)[:, None, None] - middle))
    return np.moveaxis(near / (near.sum(0) + 1e-7) * weight, 0, -1)


def arriving(weight, position, size, x):
    """Return what arrives, [step, post]: a correlation with the kernel behind zeros."""
    early = np.concatenate([np.zeros((size - 1, x.shape[1])), x])
    windows = np.lib.stride_tricks.sliding_window_view(early, size, axis=0)
    return np.einsum("tik,oik->to", windows, kernel(weight, position, size))


def ours(layer, x):
    """Return what arrives in our network, [step, post]."""
    graph = LayerGraph(inputs={"input": (PRE,)})
    graph.add("delays", layer, "input")
    graph.add("sum", Cell(decay=np.zeros(()), fires=Fires.NEVER), "delays")
    graph.outputs["output"], graph.decodes["output"] = "sum", Decode.MEMBRANE_END
    values = Values(name="input", values=x[None])
    return simulate(load(graph).network, [values], EVERYTHING)["sum"].state(State.MEMBRANE)[0]


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(0, 2**31))
def test_delays_give_what_the_convolution_gives(size, seed):
    draw = np.random.default_rng(seed)
    weight = draw.normal(size=(POST, PRE, 1))
    position = draw.uniform(-size, size, (1, POST, PRE, 1)).round(1)
    x = (draw.random((STEPS, PRE)) < 0.3).astype(float)
    layer = dcls.linear(weight, position, size=size)
    assert layer.delays.min() >= 0
    assert layer.delays.max() < size
    wanted = arriving(weight[..., 0], position[0, ..., 0], size, x)
    np.testing.assert_allclose(ours(layer, x), wanted, atol=1e-12)


def test_torch_tensors_and_plain_matrices_are_the_same():
    torch = pytest.importorskip("torch")
    draw = np.random.default_rng(0)
    weight, position = draw.normal(size=(2, 3)), draw.uniform(-2, 2, (2, 3))
    plain = dcls.linear(weight, position, size=5, bias=np.ones(2))
    tensors = dcls.linear(
        torch.tensor(weight)[..., None].requires_grad_(),
        torch.tensor(position)[None, ..., None],
        size=5,
        bias=torch.ones(2, dtype=torch.float64),
    )
    for name in ("weight", "delays", "bias"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(tensors, name))


@pytest.mark.parametrize(
    ("weight", "position", "size", "kind", "text"),
    [
        (
            np.ones((2, 3, 2)),
            np.zeros((1, 2, 3, 2)),
            5,
            ShapeError,
            "error[SNN204]: 2 weights for a synapse\n  at: weight\n  fix: one layer for each of "
            "them, weight[..., i] and P[..., i], and the sum of them",
        ),
        (
            np.ones((2, 3, 1)),
            np.zeros((2, 3, 1)),
            5,
            ShapeError,
            "error[SNN204]: positions of shape (2, 3, 1) for weights of shape (2, 3, 1)\n"
            "  at: position\n  fix: give weight [post, pre, 1] and P [1, post, pre, 1], as Dcls1d "
            "has them",
        ),
        (
            np.ones((2, 3)),
            np.full((2, 3), np.nan),
            5,
            DynamicsError,
            "error[SNN207]: positions that are no numbers, or a kernel of 5 steps",
        ),
    ],
)
def test_what_is_no_layer_of_delays_is_refused(weight, position, size, kind, text):
    with pytest.raises(kind) as caught:
        dcls.linear(weight, position, size=size)
    assert str(caught.value) == text
