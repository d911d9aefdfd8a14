"""torch.nn's layers between neurons: our network sends, in every step, what torch's sends."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from framework_networks import Numbers, one_thread, spikes_in
from framework_oracle import assert_same_spikes, recorded

from snn_deploy.errors import ModelError, ShapeError, UnknownNodeError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import LayerGraph, Sum
from snn_deploy.frontends.registry import class_name, read_layer
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.frontends.torch_stub import Stub, set_state
from snn_deploy.ir.maps import Composition, Convolution, Dense
from snn_deploy.ir.network import Network
from snn_deploy.quantize.fold import FoldMaps

torch = pytest.importorskip("torch")
sn = pytest.importorskip("spikingjelly.activation_based.neuron")
functional = pytest.importorskip("spikingjelly.activation_based.functional")

nn = torch.nn
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Using padding='same' with even:UserWarning"),
]

Make = Callable[[], Any]
PLANE, LINE, FLAT = (4, 6, 6), (4, 9), (10,)
"""Shapes that the layers read."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table: layers in a row, and the shape that they read."""

    name: str
    layers: Callable[[], list[Any]]
    reads: tuple[int, ...]

    def __str__(self) -> str:
        return self.name


def row(reads: tuple[int, ...], name: str, *makes: Make) -> Case:
    return Case(name, lambda: [make() for make in makes], reads)


def conv(*args: Any, **options: Any) -> Make:
    return lambda: nn.Conv2d(*args, **options)


def line(*args: Any, **options: Any) -> Make:
    return lambda: nn.Conv1d(*args, **options)


def up(*args: Any, **options: Any) -> Make:
    return lambda: nn.ConvTranspose2d(*args, **options)


def norm(channels: int, **options: Any) -> Make:
    """Return a normalisation whose deviation is a power of two: eps would spoil it."""
    return lambda: nn.BatchNorm2d(channels, **{"eps": 0.0, **options})


def norm_line(channels: int, **options: Any) -> Make:
    return lambda: nn.BatchNorm1d(channels, **{"eps": 0.0, **options})


def of(kind: Callable[..., Any], *args: Any, **options: Any) -> Make:
    return lambda: kind(*args, **options)


HALVES = of(nn.AvgPool2d, 2)
FLATTEN = of(nn.Flatten)

EXACT = [
    row(FLAT, "Linear", of(nn.Linear, 10, 8)),
    row(FLAT, "Linear without bias", of(nn.Linear, 10, 8, bias=False)),
    row(FLAT, "Identity and Dropout", of(nn.Identity), of(nn.Dropout), of(nn.Linear, 10, 8)),
    row(FLAT, "BatchNorm1d behind Linear", of(nn.Linear, 10, 8), norm_line(8)),
    row(FLAT, "BatchNorm1d before Linear", norm_line(10), of(nn.Linear, 10, 8)),
    row(FLAT, "BatchNorm1d alone", norm_line(10)),
    row(FLAT, "three Linear in a row", *(of(nn.Linear, 10, 10) for _ in range(3))),
    row(FLAT, "Unflatten", of(nn.Unflatten, 1, (5, 2)), line(5, 3, 2)),
    row(LINE, "Conv1d", line(4, 5, 3)),
    row(LINE, "Conv1d, all options", line(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)),
    row(LINE, "Conv1d same", line(4, 5, 4, padding="same", bias=False)),
    row(LINE, "Conv1d valid", line(4, 5, 2, padding="valid")),
    row(LINE, "BatchNorm1d behind Conv1d", line(4, 5, 3, padding=1), norm_line(5)),
    row(LINE, "BatchNorm1d before Conv1d", norm_line(4), line(4, 5, 3, padding=1)),
    row(LINE, "ConvTranspose1d", of(nn.ConvTranspose1d, 4, 3, 3, 2, 1, 1)),
    row(LINE, "AvgPool1d", of(nn.AvgPool1d, 2), line(4, 5, 2)),
    row(LINE, "MaxPool1d", of(nn.MaxPool1d, 3, 2), line(4, 5, 2)),
    row(LINE, "Upsample a line", of(nn.Upsample, scale_factor=2), line(4, 5, 3)),
    row(LINE, "Flatten a line", FLATTEN, of(nn.Linear, 36, 8)),
    row(PLANE, "Conv2d", conv(4, 5, 3)),
    row(PLANE, "Conv2d without bias", conv(4, 5, 3, bias=False)),
    row(PLANE, "Conv2d stride", conv(4, 5, 3, stride=2)),
    row(PLANE, "Conv2d padding", conv(4, 5, 3, padding=1)),
    row(PLANE, "Conv2d padding larger than the kernel", conv(4, 5, 2, padding=3)),
    row(PLANE, "Conv2d dilation", conv(4, 5, 3, dilation=2)),
    row(PLANE, "Conv2d groups", conv(4, 6, 3, groups=2)),
    row(PLANE, "Conv2d depthwise", conv(4, 8, 3, groups=4)),
    row(PLANE, "Conv2d of unequal sides", conv(4, 5, (1, 3), (1, 2), (0, 1), (1, 2))),
    row(PLANE, "Conv2d all options", conv(4, 6, (3, 2), (2, 1), (2, 0), (2, 3), 2)),
    row(PLANE, "Conv2d same", conv(4, 5, 3, padding="same")),
    row(PLANE, "Conv2d same, even kernel", conv(4, 5, (2, 4), padding="same")),
    row(PLANE, "Conv2d same, dilated", conv(4, 5, 3, padding="same", dilation=2)),
    row(PLANE, "Conv2d valid", conv(4, 5, 3, padding="valid", stride=2)),
    row(PLANE, "two Conv2d in a row", conv(4, 6, 3), conv(6, 5, 2)),
    row(PLANE, "two padded Conv2d in a row", conv(4, 6, 3, padding=1), conv(6, 5, 3, padding=1)),
    row(PLANE, "ConvTranspose2d", up(4, 3, 3)),
    row(PLANE, "ConvTranspose2d stride", up(4, 3, 3, stride=2)),
    row(PLANE, "ConvTranspose2d all options", up(4, 6, (3, 2), 2, (1, 0), (1, 0), 2, True, 2)),
    row(PLANE, "ConvTranspose2d without bias", up(4, 3, 2, 2, bias=False)),
    row(PLANE, "ConvTranspose2d cropped to nothing but its middle", up(4, 3, 3, padding=2)),
    row(PLANE, "BatchNorm2d behind Conv2d", conv(4, 5, 3, padding=1), norm(5)),
    row(PLANE, "BatchNorm2d before padded Conv2d", norm(4), conv(4, 5, 3, padding=1)),
    row(PLANE, "BatchNorm2d behind ConvTranspose2d", up(4, 6, 3, 2, groups=2), norm(6)),
    row(PLANE, "BatchNorm2d twice", norm(4), conv(4, 5, 3), norm(5), norm(5)),
    row(PLANE, "BatchNorm2d between pool and Linear", HALVES, norm(4), FLATTEN, of(nn.Linear, 36, 8)),
    row(PLANE, "BatchNorm2d without affine", conv(4, 5, 3), norm(5, affine=False)),
    row(PLANE, "AvgPool2d", HALVES, conv(4, 5, 2)),
    row(PLANE, "AvgPool2d alone", HALVES),
    row(PLANE, "AvgPool2d behind Conv2d", conv(4, 5, 3), HALVES),
    row(PLANE, "AvgPool2d overlapping", of(nn.AvgPool2d, 4, 2, 1)),
    row(PLANE, "AvgPool2d of unequal sides", of(nn.AvgPool2d, (2, 4), (1, 2), (1, 0))),
    row(PLANE, "LPPool2d of sums", of(nn.LPPool2d, 1, 2), conv(4, 5, 2)),
    row(LINE, "LPPool1d of sums", of(nn.LPPool1d, 1, 3, 2), line(4, 5, 2)),
    row(PLANE, "MaxPool2d", of(nn.MaxPool2d, 2), conv(4, 5, 2)),
    row(PLANE, "MaxPool2d overlapping", of(nn.MaxPool2d, 3, 2, 1), conv(4, 5, 2)),
    row(PLANE, "MaxPool2d of MaxPool2d", of(nn.MaxPool2d, 2, 1), of(nn.MaxPool2d, 2), conv(4, 5, 2)),
    row(PLANE, "AdaptiveAvgPool2d to 1", of(nn.AdaptiveAvgPool2d, (1, 2)), FLATTEN, of(nn.Linear, 8, 8)),
    row(PLANE, "AdaptiveAvgPool2d to 4", of(nn.AdaptiveAvgPool2d, 4), conv(4, 5, 3)),
    row(PLANE, "AdaptiveAvgPool2d to more", of(nn.AdaptiveAvgPool2d, 9), conv(4, 5, 3)),
    row(PLANE, "AdaptiveAvgPool2d unchanged", of(nn.AdaptiveAvgPool2d, (None, 6)), conv(4, 5, 3)),
    row(PLANE, "Upsample", of(nn.Upsample, scale_factor=2), conv(4, 5, 3)),
    row(PLANE, "Upsample of unequal sides", of(nn.Upsample, scale_factor=(1, 3)), conv(4, 5, 3)),
    row(PLANE, "Upsample to a size", of(nn.Upsample, size=(9, 7)), conv(4, 5, 3)),
    row(PLANE, "Upsample down", of(nn.Upsample, size=(4, 3)), conv(4, 5, 3)),
    row(PLANE, "UpsamplingNearest2d", of(nn.UpsamplingNearest2d, scale_factor=2), conv(4, 5, 3)),
    row(PLANE, "Flatten", FLATTEN, of(nn.Linear, 144, 8)),
    row(PLANE, "Flatten of two axes", of(nn.Flatten, 2), line(4, 5, 3, 2)),
    row(PLANE, "Flatten from behind", of(nn.Flatten, -3), of(nn.Linear, 144, 8)),
    row(PLANE, "Flatten and Unflatten", FLATTEN, of(nn.Unflatten, 1, (9, 4, 4)), conv(9, 5, 3)),
    row(PLANE, "Dropout2d", conv(4, 5, 3), of(nn.Dropout2d)),
]
"""Numbers of few bits: not one spike may differ."""

THIRDS = [
    row(LINE, "AvgPool1d of three", of(nn.AvgPool1d, 3, 2, 1), line(4, 5, 2)),
    row(LINE, "AdaptiveAvgPool1d", of(nn.AdaptiveAvgPool1d, 4), line(4, 5, 2)),
    row(PLANE, "AvgPool2d of three", of(nn.AvgPool2d, 3), conv(4, 5, 2)),
    row(PLANE, "AvgPool2d padded", of(nn.AvgPool2d, 3, 2, 1)),
    row(PLANE, "AdaptiveAvgPool2d to all", of(nn.AdaptiveAvgPool2d, 1), FLATTEN, of(nn.Linear, 4, 8)),
    row(PLANE, "AdaptiveAvgPool2d to 5 and 4", of(nn.AdaptiveAvgPool2d, (5, 4)), conv(4, 5, 3)),
    row(PLANE, "BatchNorm2d with eps", conv(4, 5, 3), norm(5, eps=1e-3)),
]
"""Numbers that no float32 holds."""


def network_of(case: Case) -> Any:
    """Return the layers between neurons; the first ones make binary spikes of their input, few
    before a max-pooling, which makes more of them."""
    first = sn.IFNode(v_reset=None, v_threshold=4.0 if "Max" in case.name else 1.0)
    return nn.Sequential(nn.Identity(), first, *case.layers(), sn.LIFNode(decay_input=False))


def fill(net: Any, numbers: Numbers, seed: int) -> Any:
    """Give parameters and statistics new numbers, dyadic or any."""
    rng = np.random.default_rng(seed)

    def some(tensor: Any, low: float, high: float) -> Any:
        values = rng.uniform(low, high, tuple(tensor.shape))
        if numbers is Numbers.DYADIC:
            values = np.rint(values * 32) / 32
        return torch.tensor(values).float()

    for module in net.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.data = some(module.running_mean, -0.2, 0.3)
            deviation = rng.integers(0, 2, tuple(module.running_var.shape))
            exact = numbers is Numbers.DYADIC
            module.running_var.data = (
                torch.tensor(4.0**-deviation).float() if exact else some(module.running_var, 0.3, 2)
            )
            if module.affine:
                module.weight.data = some(module.weight, 0.5, 1.5)
                module.bias.data = some(module.bias, -0.1, 0.2)
            continue
        for name, parameter in module.named_parameters(recurse=False):
            reach = 1.0 / max(1.0, np.sqrt(parameter[0].numel()))
            wide = 0.2 if "bias" in name else 1.6 * reach
            parameter.data = some(parameter, -0.7 * wide, wide)
    return net.eval()


def last_weights(net: Any) -> list[Any]:
    """Return what the last neurons' input is proportional to: the last weights or norm, and what
    is added behind them."""
    owners = [m for m in net.modules() if getattr(m, "weight", None) is not None]
    return [p for p in (owners[-1].weight, owners[-1].bias) if p is not None] if owners else []


def run(net: Any, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return what neurons and max-poolings send, [step, *shape]: torch itself."""
    kinds = ("IFNode", "LIFNode", "MaxPool1d", "MaxPool2d")
    watched = {name: m for name, m in net.named_modules() if type(m).__name__ in kinds}
    functional.reset_net(net)
    with recorded(watched) as kept, torch.no_grad(), one_thread():
        for x in torch.tensor(values)[:, None]:
            net(x)
    return {name: np.stack(steps) for name, steps in kept.items()}


def agrees(case: Case, numbers: Numbers, seed: int) -> Network:
    """Compare every spike of 200 steps; return the network that was read."""
    net = fill(network_of(case), numbers, seed)
    values = spikes_in(numbers, case.reads, seed)
    for _ in range(12):
        share = run(net, values[:100])[str(len(net) - 1)].mean()
        if 0.05 < share < 0.5:
            break
        for parameter in last_weights(net):
            parameter.data *= 2.0 if share <= 0.05 else 0.5
        if not last_weights(net):
            net[-1].v_threshold *= 0.5 if share <= 0.05 else 2.0
    network = load(net, sample_shape=case.reads).network
    assert_same_spikes(network, values, run(net, values), exact=numbers is Numbers.DYADIC)
    return network


@pytest.mark.parametrize("case", EXACT, ids=str)
def test_layers_give_the_very_spikes_of_torch(case: Case) -> None:
    agrees(case, Numbers.DYADIC, 1)


@pytest.mark.parametrize("case", [*EXACT, *THIRDS], ids=str)
def test_layers_of_any_numbers_differ_from_torch_at_the_threshold_only(case: Case) -> None:
    agrees(case, Numbers.RANDOM, 2)
