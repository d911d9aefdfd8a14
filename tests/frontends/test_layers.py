"""torch.nn's layers between neurons: our network sends, in every step, what torch's sends."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from framework_networks import Numbers, one_thread, spikes_in
from framework_oracle import assert_same_spikes, recorded

from snn_deploy.errors import ShapeError, UnknownNodeError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import LayerGraph, Sum
from snn_deploy.frontends.nir import checked_graph, import_graph
from snn_deploy.frontends.registry import read_layer
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.maps import Convolution, Dense
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
    row(
        PLANE, "BatchNorm2d between pool and Linear", HALVES, norm(4), FLATTEN, of(nn.Linear, 36, 8)
    ),
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
    row(
        PLANE, "MaxPool2d of MaxPool2d", of(nn.MaxPool2d, 2, 1), of(nn.MaxPool2d, 2), conv(4, 5, 2)
    ),
    row(
        PLANE,
        "AdaptiveAvgPool2d to 1",
        of(nn.AdaptiveAvgPool2d, (1, 2)),
        FLATTEN,
        of(nn.Linear, 8, 8),
    ),
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
    row(
        PLANE, "AdaptiveAvgPool2d to all", of(nn.AdaptiveAvgPool2d, 1), FLATTEN, of(nn.Linear, 4, 8)
    ),
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


WIDE = (8, 5)
"""Sizes on either side of the layers with stored weights of another kind."""


def spectral_line() -> Any:
    return torch.nn.utils.parametrizations.spectral_norm(nn.Linear(*WIDE), n_power_iterations=2)


def old_spectral_line() -> Any:
    return torch.nn.utils.spectral_norm(nn.Linear(*WIDE))


STORED_OTHERWISE: dict[str, tuple[tuple[int, ...], Make]] = {
    "weight_norm": ((8,), lambda: torch.nn.utils.parametrizations.weight_norm(nn.Linear(*WIDE))),
    "weight_norm over all": (
        (8,),
        lambda: torch.nn.utils.parametrizations.weight_norm(nn.Linear(*WIDE), dim=None),
    ),
    "weight_norm of a kernel": (
        PLANE,
        lambda: torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 5, 3), dim=1),
    ),
    "weight_norm by a hook": ((8,), lambda: torch.nn.utils.weight_norm(nn.Linear(*WIDE))),
    "weight_norm of a kernel by a hook": (
        PLANE,
        lambda: torch.nn.utils.weight_norm(nn.ConvTranspose2d(4, 5, 3), dim=1),
    ),
    "spectral_norm": ((8,), spectral_line),
    "spectral_norm of a kernel": (
        PLANE,
        lambda: torch.nn.utils.parametrizations.spectral_norm(nn.ConvTranspose2d(4, 5, 3)),
    ),
    "spectral_norm by a hook": ((8,), old_spectral_line),
    "spectral_norm of a kernel by a hook": (
        PLANE,
        lambda: torch.nn.utils.spectral_norm(nn.Conv2d(4, 5, 3)),
    ),
    "orthogonal": ((8,), lambda: torch.nn.utils.parametrizations.orthogonal(nn.Linear(8, 8))),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", STORED_OTHERWISE)
def test_weights_are_those_that_a_parametrised_layer_computes(name: str) -> None:
    reads, make = STORED_OTHERWISE[name]
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Identity(), sn.IFNode(v_reset=None), make(), sn.LIFNode(v_threshold=0.25)
    )
    net(torch.rand(3, *reads))  # in training mode, it changes what is stored
    with torch.no_grad():
        for parameter in net[2].parameters():
            # The weight that was computed last is stale from now on.
            parameter.add_(0.05 * torch.rand_like(parameter))
    functional.reset_net(net.eval())
    stored = {key: value.clone() for key, value in net.state_dict().items()}
    values = spikes_in(Numbers.RANDOM, reads, 3)
    network = load(net, sample_shape=reads).network
    assert all(torch.equal(value, stored[key]) for key, value in net.state_dict().items())
    assert_same_spikes(network, values, run(net, values), exact=False)


@pytest.mark.parametrize("make", [spectral_line, old_spectral_line])
def test_reading_a_network_in_training_mode_does_not_change_it(make: Make) -> None:
    net = nn.Sequential(make(), sn.IFNode())
    net(torch.rand(2, 8))
    stored = {key: value.clone() for key, value in net.state_dict().items()}
    before = load(net).nir_bytes
    assert load(net.eval()).nir_bytes == before
    assert all(torch.equal(value, stored[key]) for key, value in net.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("make", [torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm])
def test_a_pickled_layer_with_a_hook_is_read_as_the_live_one(make: Any, tmp_path: Any) -> None:
    net = nn.Sequential(make(nn.Linear(8, 5)), nn.Linear(5, 4), sn.IFNode()).eval()
    with torch.no_grad():
        net(torch.rand(2, 8))
        for parameter in net[0].parameters():
            parameter.mul_(1.25)
    functional.reset_net(net)
    torch.save(net, tmp_path / "model.pt")
    assert load(tmp_path / "model.pt").nir_bytes == load(net).nir_bytes


@pytest.mark.parametrize(
    ("reads", "make", "kind"),
    [
        (FLAT, lambda: [nn.Linear(10, 3), nn.Linear(3, 3), nn.Linear(3, 12)], Dense),
        (FLAT, lambda: [nn.Linear(10, 3, bias=False), nn.Linear(3, 12)], Dense),
        (PLANE, lambda: [nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 3), nn.Conv2d(2, 6, 1)], Convolution),
        (
            PLANE,
            lambda: [nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, (3, 1)), nn.Conv2d(2, 2, (1, 3))],
            Convolution,
        ),
        (PLANE, lambda: [nn.AvgPool2d(2), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 2)], Convolution),
        (PLANE, lambda: [nn.Conv2d(4, 3, 3), nn.Flatten(), nn.Linear(48, 6)], Dense),
    ],
    ids=["train of three matrices", "of two", "of kernels", "of axes", "pool", "kernel and matrix"],
)
def test_factors_in_a_row_become_one_kernel_of_the_same_spikes(
    reads: tuple[int, ...], make: Callable[[], list[Any]], kind: type
) -> None:
    network = agrees(Case("factors", make, reads), Numbers.RANDOM, 4)
    folded = FoldMaps()(network).graph
    last = folded.into(folded.populations[-1].name)
    assert [type(projection.map) for projection in last] == [kind]


class Residual(nn.Module):
    """Two branches that meet, with a normalisation on one, on both, or behind them."""

    def __init__(self, branch: list[Any], short: list[Any], behind: list[Any]) -> None:
        super().__init__()
        self.first = sn.IFNode(v_reset=None)
        self.branch, self.short = nn.ModuleList(branch), nn.ModuleList(short)
        self.behind = nn.ModuleList(behind)
        self.last = sn.LIFNode(decay_input=False, v_threshold=1.5)

    def forward(self, x: Any) -> Any:
        long = short = self.first(x)
        for layer in self.branch:
            long = layer(long)
        for layer in self.short:
            short = layer(short)
        total = long + short
        for layer in self.behind:
            total = layer(total)
        return self.last(total)

    def layers(self) -> LayerGraph:
        """Return what the forward does, as layers."""
        graph = LayerGraph(inputs={"input": PLANE})
        long = short = read_layer(graph, "first", self.first, "input")
        for index, layer in enumerate(self.branch):
            long = read_layer(graph, f"branch.{index}", layer, long)
        for index, layer in enumerate(self.short):
            short = read_layer(graph, f"short.{index}", layer, short)
        total = graph.add("sum", Sum(), long, short)
        for index, layer in enumerate(self.behind):
            total = read_layer(graph, f"behind.{index}", layer, total)
        graph.outputs["output"] = read_layer(graph, "last", self.last, total)
        return graph


def same() -> Any:
    return nn.Conv2d(4, 4, 3, padding=1)


def four() -> Any:
    return nn.BatchNorm2d(4, eps=0.0)


RESIDUALS: dict[str, Callable[[], Any]] = {
    "identity": lambda: Residual([same()], [], []),
    "norm on the branch": lambda: Residual([same(), four()], [], []),
    "norm on both branches": lambda: Residual([same(), four()], [nn.Conv2d(4, 4, 1), four()], []),
    "norm on the identity": lambda: Residual([same()], [four()], []),
    "norm before the branch's kernel": lambda: Residual([four(), same()], [], []),
    "norm behind the sum": lambda: Residual([same()], [], [four()]),
    "norm before and behind the sum": lambda: Residual([same(), four()], [four()], [four()]),
    "kernel behind the sum": lambda: Residual([same()], [], [four(), same(), four()]),
    "identity twice": lambda: Residual([], [], [four()]),
    "pools that meet": lambda: Residual(
        [nn.AvgPool2d(2), four()], [nn.Conv2d(4, 4, 2, 2)], [four()]
    ),
}


@pytest.mark.parametrize("numbers", Numbers)
@pytest.mark.parametrize("name", RESIDUALS)
def test_a_normalisation_reaches_every_branch_of_a_residual_sum(
    name: str, numbers: Numbers
) -> None:
    net = fill(RESIDUALS[name](), numbers, 5)
    values = spikes_in(numbers, PLANE, 5)
    form = to_nir(net.layers())
    network = import_graph(
        checked_graph(form.graph, ""), name="n", where="module", annotation=form.annotation
    ).network
    theirs = run(net, values)
    assert_same_spikes(network, values, theirs, exact=numbers is Numbers.DYADIC)


REFUSED: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]], str]] = {
    "max-pooling of currents": (
        PLANE,
        lambda: [nn.Conv2d(4, 4, 3), nn.MaxPool2d(2)],
        "error[SNN203]: a max-pooling is read only right behind neurons that send one spike a "
        "step\n  at: 3\n  fix: put it behind the neurons, or use an average pooling",
    ),
    "max-pooling with gaps": (
        PLANE,
        lambda: [nn.MaxPool2d(2, dilation=2)],
        "error[SNN203]: MaxPool2d with dilation=2 is not read\n  at: 2\n  fix: use dilation=1",
    ),
    "max-pooling of a rest": (
        PLANE,
        lambda: [nn.MaxPool2d(4, ceil_mode=True)],
        "error[SNN203]: MaxPool2d with ceil_mode=True is not read\n"
        "  at: 2\n  fix: use ceil_mode=False",
    ),
    "means without the padding": (
        PLANE,
        lambda: [nn.AvgPool2d(2, padding=1, count_include_pad=False)],
        "error[SNN203]: AvgPool2d with count_include_pad=False is not read\n"
        "  at: 2\n  fix: use count_include_pad=True",
    ),
    "means by another number": (
        PLANE,
        lambda: [nn.AvgPool2d(2, divisor_override=3)],
        "error[SNN203]: AvgPool2d with divisor_override=3 is not read\n"
        "  at: 2\n  fix: use divisor_override=None",
    ),
    "a norm of squares": (
        PLANE,
        lambda: [nn.LPPool2d(2, 2)],
        "error[SNN203]: LPPool2d with norm_type=2 is not read\n  at: 2\n  fix: use norm_type=1",
    ),
    "mirrored edges": (
        PLANE,
        lambda: [nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")],
        "error[SNN203]: Conv2d with padding_mode='reflect' is not read\n"
        "  at: 2\n  fix: use padding_mode='zeros'",
    ),
    "edges that meet": (
        LINE,
        lambda: [nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular")],
        "error[SNN203]: Conv1d with padding_mode='circular' is not read\n"
        "  at: 2\n  fix: use padding_mode='zeros'",
    ),
    "interpolation": (
        PLANE,
        lambda: [nn.Upsample(scale_factor=2, mode="bilinear")],
        "error[SNN203]: Upsample with mode='bilinear' is not read\n"
        "  at: 2\n  fix: use mode='nearest'",
    ),
    "uneven repetition": (
        PLANE,
        lambda: [nn.Upsample(scale_factor=1.5)],
        "error[SNN203]: Upsample by 1.5 repeats values unevenly\n"
        "  at: 2\n  fix: use whole factors, or size=",
    ),
    "norms of the batch": (
        PLANE,
        lambda: [nn.BatchNorm2d(4, track_running_stats=False)],
        "error[SNN203]: BatchNorm2d with track_running_stats=False normalises by each batch\n"
        "  at: 2\n  fix: train it with running statistics",
    ),
    "a flat batch": (
        PLANE,
        lambda: [nn.Flatten(0)],
        "error[SNN204]: Flatten with start_dim=0 flattens the batch as well\n"
        "  at: 2\n  fix: use start_dim=1",
    ),
    "norms of the step": (
        PLANE,
        lambda: [nn.GroupNorm(2, 4)],
        "error[SNN203]: GroupNorm: it divides by what the values of this very step are\n  at: 2",
    ),
    "channels that do not fit": (
        PLANE,
        lambda: [nn.Conv2d(3, 4, 3)],
        "error[SNN204]: it reads 3 channels, but is given (4, 6, 6)\n  at: 2",
    ),
    "a matrix on a plane": (
        PLANE,
        lambda: [nn.Linear(6, 4)],
        "error[SNN204]: a weight of shape (4, 6) reads 6 values, but is given (4, 6, 6)\n"
        "  at: 2\n  fix: flatten before it, and train it with 144 inputs",
    ),
    "a matrix on a plane of as many values": (
        PLANE,
        lambda: [nn.Linear(144, 4)],
        "error[SNN204]: a weight of shape (4, 144) reads 144 values, but is given (4, 6, 6)\n"
        "  at: 2\n  fix: flatten before it",
    ),
    "a bias that is parametrised": (
        FLAT,
        lambda: [
            torch.nn.utils.parametrize.register_parametrization(
                nn.Linear(10, 4), "bias", nn.Identity()
            )
        ],
        "error[SNN203]: bias of Linear is parametrised\n"
        "  at: 2\n  fix: torch.nn.utils.parametrize.remove_parametrizations(layer, name)",
    ),
    "a parametrisation in training": (
        FLAT,
        lambda: [
            torch.nn.utils.parametrize.register_parametrization(
                nn.Linear(10, 4), "weight", nn.Tanh()
            )
        ],
        "error[SNN203]: a weight parametrised by Tanh in training mode is not read\n"
        "  at: 2\n  fix: call eval() on the network",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_refused_with_the_way_out(name: str) -> None:
    reads, make, text = REFUSED[name]
    net = nn.Sequential(nn.Identity(), sn.IFNode(), *make(), sn.IFNode())
    with pytest.raises((UnknownNodeError, ShapeError)) as caught:
        load(net, sample_shape=reads)
    assert str(caught.value) == text


def test_neurons_and_layers_that_act_twice_are_not_mistaken_for_one() -> None:
    half = nn.AvgPool2d(2, 1)
    case = Case("shared", lambda: [half, half, nn.Conv2d(4, 5, 2)], PLANE)
    agrees(case, Numbers.DYADIC, 6)
