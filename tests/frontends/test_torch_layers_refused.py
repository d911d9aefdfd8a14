"""Layers of torch whose numbers do not fit each other, or whose options are none."""

from collections.abc import Callable
from typing import Any

import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends.capture.leaves import probe

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = pytest.mark.torch


def with_weight(layer: Any, *shape: int) -> Any:
    layer.weight = nn.Parameter(torch.ones(shape))
    return layer


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a kernel of a line for a plane": (
        lambda: with_weight(nn.Conv2d(2, 3, 3), 3, 2, 3),
        "error[SNN204]: a weight of shape (3, 2, 3), but that of a Conv2d has 4 axes\n  at: layer",
    ),
    "a normalisation with one factor for all": (
        lambda: with_weight(nn.BatchNorm2d(3), 1),
        "error[SNN204]: BatchNorm2d with numbers of shapes (1,), (3,), not one for each channel\n"
        "  at: layer",
    ),
    "an adaptive pooling of three axes": (
        lambda: nn.AdaptiveAvgPool2d((1, 1, 1)),
        "error[SNN203]: (1, 1, 1) has not one whole number for each axis\n  at: layer.output_size",
    ),
    "two sides that are left open": (
        lambda: nn.Unflatten(1, (-1, -1)),
        "error[SNN204]: an Unflatten to (-1, -1), which is no shape\n  at: layer",
    ),
    "a side of nothing": (
        lambda: nn.Unflatten(1, (0, 4)),
        "error[SNN204]: an Unflatten to (0, 4), which is no shape\n  at: layer",
    ),
    "the places of maxima": (
        lambda: nn.MaxPool2d(2, return_indices=True),
        "error[SNN203]: MaxPool2d with return_indices=True is not read\n  at: layer\n"
        "  fix: use return_indices=False",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_layer_of_torch_that_is_none_is_refused_by_name(case):
    make, said = REFUSED[case]
    with pytest.raises(ModelError) as caught:
        probe(make(), "layer")
    assert str(caught.value) == said
