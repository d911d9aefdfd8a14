"""SpikingJelly's layers: our network sends, in every step, what theirs send."""

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from framework_networks import Numbers, one_thread, set_weights, spikes_in
from framework_oracle import assert_same_spikes

from snn_deploy.errors import DynamicsError, GraphError, UnknownNodeError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.registry import frontend, read_layer
from snn_deploy.frontends.torch_file import Reference, Stub, set_state
from snn_deploy.ir.neuron import Compare, Decode, State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

torch = pytest.importorskip("torch")
sj = pytest.importorskip("spikingjelly.activation_based.layer")
sn = pytest.importorskip("spikingjelly.activation_based.neuron")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
functional = pytest.importorskip("spikingjelly.activation_based.functional")


pytestmark = pytest.mark.torch


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the tables: a class of neurons and its options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, float] = field(default_factory=dict)
    """Set after construction: what training finds."""

    def __str__(self) -> str:
        words = [f"{key}={value}" for key, value in {**self.options, **self.attributes}.items()]
        return " ".join([self.kind, *words])

    def make(self, channels: int, spatial: bool) -> Any:
        """Return neurons of this row, for so many channels."""
        options = dict(self.options)
        if self.kind == "MPBNLIFNode":
            options["out_channels" if spatial else "out_features"] = channels
        made = getattr(sn, self.kind)(**options)
        for name, value in self.attributes.items():
            getattr(made, name).data = torch.tensor(value)
        return made


def case(kind: str, trained: dict[str, float] | None = None, **options: Any) -> Case:
    return Case(kind, options, trained or {})


HALF, QUARTER = {"w": 0.0}, {"w": float(np.float32(-np.log(3.0)))}
"""Weights whose sigmoid is 1/2 and 1/4."""

EXACT = [
    case("IFNode"),
    case("IFNode", v_reset=None),
    case("IFNode", v_threshold=0.5, v_reset=-0.25),
    case("IFNode", v_threshold=2.0, v_reset=0.5, detach_reset=True, store_v_seq=True),
    case("SimpleIFNode"),
    case("SimpleIFNode", v_reset=None, v_threshold=0.75),
    case("SimpleIFNode", v_reset=-0.5),
    case("HalfThresholdIFNode"),
    case("HalfThresholdIFNode", v_threshold=1.5),
    case("ActivationAwareIFNode", v_threshold=0.75, v_offset=0.25),
    case("ActivationAwareIFNode", v_threshold=1.5, v_offset=-0.25, v_reset=0.25),
    case("LIFNode"),
    case("LIFNode", v_reset=None),
    case("LIFNode", tau=4.0, v_reset=-0.25),
    case("LIFNode", tau=4.0, v_threshold=0.5, v_reset=None),
    case("LIFNode", decay_input=False),
    case("LIFNode", decay_input=False, tau=8.0, v_reset=0.25),
    case("LIFNode", decay_input=False, tau=4.0, v_reset=None),
    case("SimpleLIFNode", tau=2.0, decay_input=True),
    case("SimpleLIFNode", tau=4.0, decay_input=False, v_reset=-0.25),
    case("OTTTLIFNode", tau=4.0),
    case("SLTTLIFNode", tau=4.0, decay_input=False, v_reset=None),
    case("ParametricLIFNode"),
    case("ParametricLIFNode", HALF, v_reset=None),
    case("ParametricLIFNode", QUARTER, v_reset=-0.25),
    case("ParametricLIFNode", QUARTER, decay_input=False),
    case("ParametricLIFNode", QUARTER, decay_input=False, v_reset=None, v_threshold=0.75),
    case("CUBALIFNode"),
    case("CUBALIFNode", v_reset=None),
    case("CUBALIFNode", c_decay=0.75, v_decay=0.5, v_threshold=1.0, v_reset=-0.25),
    case("KLIFNode"),
    case("KLIFNode", {"k": 1.5}, tau=4.0),
    case("KLIFNode", {"k": 0.5}, decay_input=False, v_reset=None, tau=4.0),
    case("KLIFNode", {"k": 2.0}, scale_reset=True),
    case("KLIFNode", {"k": 2.0}, scale_reset=True, v_reset=None, tau=4.0),
    case("KLIFNode", {"k": 0.5}, scale_reset=True, v_reset=-0.25, decay_input=False),
    case("MPBNLIFNode", mpbn=False),
    case("DSRIFNode"),
    case("DSRIFNode", v_threshold=2.0, alpha=0.25),
    case("ILCIFNode"),
    case("ILCLIFNode", v_reset=-0.25),
    case("ILCCUBALIFNode", c_decay=0.25),
]
"""Arithmetic of few bits: not one spike may differ."""

RANDOM = [
    case("IFNode", v_threshold=0.83, v_reset=-0.17),
    case("IFNode", v_threshold=0.83, v_reset=None),
    case("SimpleIFNode", v_threshold=0.83, v_reset=0.1),
    case("HalfThresholdIFNode", v_threshold=0.83),
    case("ActivationAwareIFNode", v_threshold=0.83, v_offset=0.13),
    case("LIFNode", tau=3.3, v_threshold=0.83, v_reset=-0.17),
    case("LIFNode", tau=1.7, v_reset=None),
    case("LIFNode", tau=10.0, decay_input=False, v_reset=0.17),
    case("LIFNode", tau=3.3, decay_input=False, v_reset=None),
    case("SimpleLIFNode", tau=3.3, decay_input=True, v_reset=-0.1),
    case("OTTTLIFNode", tau=3.3, v_reset=None),
    case("SLTTLIFNode", tau=1.9, v_threshold=0.7),
    case("ParametricLIFNode", {"w": -1.37}, v_reset=-0.17),
    case("ParametricLIFNode", {"w": 0.59}, v_reset=None, decay_input=False),
    case("CUBALIFNode", c_decay=0.37, v_decay=0.81, v_threshold=0.83, v_reset=0.1),
    case("CUBALIFNode", c_decay=0.61, v_decay=0.47, v_reset=None),
    case("KLIFNode", {"k": 1.13}, tau=3.3),
    case("KLIFNode", {"k": 0.87}, tau=3.3, v_reset=None, decay_input=False),
    case("KLIFNode", {"k": 1.13}, tau=3.3, scale_reset=True, v_reset=-0.1),
    case("KLIFNode", {"k": 0.87}, tau=1.9, scale_reset=True, v_reset=None),
    case("MPBNLIFNode", tau=3.3, v_reset=-0.17),
    case("MPBNLIFNode", tau=3.3, decay_input=True, v_reset=None),
    case("MPBNLIFNode", tau=1.9, learnable_vth=True),
    case("DSRIFNode", v_threshold=0.83, alpha=0.41),
    case("DSRLIFNode", v_threshold=0.83, tau=0.37),
    case("ILCIFNode", v_threshold=0.83, v_reset=0.1),
    case("ILCLIFNode", v_decay=0.71, v_threshold=0.83),
    case("ILCCUBALIFNode", c_decay=0.37, v_decay=0.71, v_threshold=0.83, v_reset=-0.1),
]
"""Any numbers: a spike may differ where float32 cannot tell."""

SEQUENCES_ONLY = ("DSRIFNode", "DSRLIFNode", "ILCIFNode", "ILCLIFNode", "ILCCUBALIFNode")
"""They take all steps at once, and are in no container of single steps."""

NEURONS = tuple({row.kind for row in (*EXACT, *RANDOM)})


def fill(net: Any, numbers: Numbers, seed: int) -> Any:
    """Give weights, and what normalisations have learned, new numbers.

    A membrane that is normalised to more than it was would grow from step to step, and with it
    what float32 rounds.
    """
    set_weights(net, numbers, seed)
    rng = np.random.default_rng(seed)
    for module in net.modules():
        if getattr(module, "running_mean", None) is not None:
            each = module.running_mean.shape
            module.running_mean.data = torch.tensor(rng.normal(0, 0.1, each)).float()
            module.running_var.data = torch.tensor(rng.uniform(1, 2, each)).float()
            module.weight.data = torch.tensor(rng.uniform(0.7, 1.0, each)).float()
        if hasattr(module, "a"):
            module.a.data = torch.tensor(rng.normal(-0.2, 0.1, module.a.shape)).float()
    return net.eval()


@contextmanager
def recorded(modules: dict[str, Any]) -> Iterator[dict[str, list[np.ndarray]]]:
    kept: dict[str, list[np.ndarray]] = {name: [] for name in modules}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            # ILC nodes write into the sequence they are given, which another layer's hook kept.
            kept[name].append(output.detach().numpy().copy())

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    yield kept
    for handle in handles:
        handle.remove()


def forward(net: Any, watched: dict[str, Any], values: np.ndarray, mode: str) -> dict[str, Any]:
    """Return whether the watched modules send something, [step, *shape]: SpikingJelly itself."""
    functional.set_step_mode(net, mode)
    functional.reset_net(net)
    sequence = torch.tensor(values)[:, None]
    with recorded(watched) as kept, torch.no_grad(), one_thread():
        if mode == "m":
            net(sequence.clone())
        else:
            for x in sequence:
                net(x)
    return {
        name: (np.stack(calls) if len(calls) == len(values) else calls[0])[:, 0] != 0
        for name, calls in kept.items()
    }


def firing(net: Any) -> dict[str, Any]:
    """Return the modules that send spikes, by name: neurons, and max-poolings of their spikes."""
    classes = (*NEURONS, "MaxPool1d", "MaxPool2d")
    return {name: m for name, m in net.named_modules() if type(m).__name__ in classes}


def enliven(net: Any, watched: dict[str, Any], values: np.ndarray, mode: str) -> None:
    """Double or halve what feeds silent or busy neurons until all are active, first to last; a
    bias excites silent ones."""
    feeding, last = {}, None
    for name, module in net.named_modules():
        if name in watched and hasattr(module, "surrogate_function"):
            feeding[name] = last
        elif isinstance(getattr(module, "weight", None), torch.nn.Parameter):
            last = module
    for _ in range(16):
        shares = {name: s.mean() for name, s in forward(net, watched, values, mode).items()}
        wrong = [name for name in feeding if feeding[name] and not 0.035 < shares[name] < 0.5]
        if not wrong:
            return
        silent, layer = shares[wrong[0]] <= 0.035, feeding[wrong[0]]
        layer.weight.data *= 2.0 if silent else 0.5
        if layer.bias is not None:
            layer.bias.data = abs(layer.bias.data) * 2.0 if silent else layer.bias.data * 0.5
    raise AssertionError(f"the network cannot be made active: {shares}")


def agrees(net: Any, numbers: Numbers, shape: tuple[int, ...], seed: int, *modes: str) -> Any:
    """Compare every spike of 200 steps in each step mode; return the network that was read."""
    fill(net, numbers, seed)
    watched = firing(net)
    values = spikes_in(numbers, shape, seed)
    enliven(net, watched, values[:100], modes[-1])
    network = load(net, sample_shape=shape).network
    first, *others = (forward(net, watched, values, mode) for mode in modes)
    for other in others:
        assert all(np.array_equal(first[name], other[name]) for name in first)
    assert_same_spikes(network, values, first, exact=numbers is Numbers.DYADIC)
    return network


def dense(row: Case) -> Any:
    if row.kind.startswith("ILC"):
        return torch.nn.Sequential(
            sj.Linear(12, 12), _group(row, 4, 3), sj.Linear(12, 6), _group(row, 2, 3)
        )
    return torch.nn.Sequential(
        sj.Linear(12, 16), row.make(16, False), sj.Linear(16, 8), row.make(8, False)
    )


def _group(row: Case, groups: int, size: int) -> Any:
    return getattr(sn, row.kind)(act_dim=groups, dec_pop_dim=size, **row.options)


def convolutional(row: Case) -> Any:
    return torch.nn.Sequential(
        sj.Conv2d(2, 4, 3, padding=1),
        row.make(4, True),
        sj.AvgPool2d(2),
        sj.Conv2d(4, 5, 2, bias=False),
        row.make(5, True),
    )


def recurrent(row: Case) -> Any:
    return torch.nn.Sequential(
        sj.Linear(12, 10),
        sj.LinearRecurrentContainer(row.make(10, False), 10, 10),
        sj.Linear(10, 8),
        sj.ElementWiseRecurrentContainer(
            torch.nn.Sequential(sj.Linear(8, 8), row.make(8, False)), operator.add
        ),
    )


def modes(row: Case) -> tuple[str, ...]:
    if row.kind in SEQUENCES_ONLY:
        return ("m",)
    return ("s",) if row.kind in ("OTTTLIFNode", "SLTTLIFNode") else ("s", "m")


@pytest.mark.parametrize("row", EXACT, ids=str)
def test_every_spike_of_a_dense_network_is_the_same(row: Case) -> None:
    agrees(dense(row), Numbers.DYADIC, (12,), 3, *modes(row))


@pytest.mark.parametrize("row", RANDOM, ids=str)
def test_spikes_of_any_dense_network_differ_at_the_threshold_only(row: Case) -> None:
    agrees(dense(row), Numbers.RANDOM, (12,), 2, *modes(row))


FLAT_ONLY = ("ILCIFNode", "ILCLIFNode", "ILCCUBALIFNode")


@pytest.mark.parametrize("row", [r for r in EXACT if r.kind not in FLAT_ONLY], ids=str)
def test_every_spike_of_a_convolutional_network_is_the_same(row: Case) -> None:
    agrees(convolutional(row), Numbers.DYADIC, (2, 6, 6), 3, modes(row)[-1])


@pytest.mark.parametrize("row", [r for r in RANDOM if r.kind not in FLAT_ONLY], ids=str)
def test_spikes_of_any_convolutional_network_differ_at_the_threshold_only(row: Case) -> None:
    agrees(convolutional(row), Numbers.RANDOM, (2, 6, 6), 4, modes(row)[-1])


@pytest.mark.parametrize("row", [r for r in EXACT if r.kind not in SEQUENCES_ONLY], ids=str)
def test_every_spike_of_a_recurrent_network_is_the_same(row: Case) -> None:
    agrees(recurrent(row), Numbers.DYADIC, (12,), 5, modes(row)[-1])


@pytest.mark.parametrize("row", [r for r in RANDOM if r.kind not in SEQUENCES_ONLY], ids=str)
def test_spikes_of_any_recurrent_network_differ_at_the_threshold_only(row: Case) -> None:
    agrees(recurrent(row), Numbers.RANDOM, (12,), 6, modes(row)[-1])


def lif(**options: Any) -> Any:
    return sn.LIFNode(tau=4.0, decay_input=False, **options)


def if_(**options: Any) -> Any:
    return sn.IFNode(**{"v_reset": None, **options})


def plus(*layers: Any) -> Any:
    """Return layers whose output of the last step joins their input."""
    inner = layers[0] if len(layers) == 1 else torch.nn.Sequential(*layers)
    return sj.ElementWiseRecurrentContainer(inner, lambda x, y: x + y)


def of_scale(scale: list[float], axes: int) -> Any:
    """Return a TemporalEffectiveBatchNorm of a scale for each step, or of one for all."""
    kind = sj.TemporalEffectiveBatchNorm1d if axes == 1 else sj.TemporalEffectiveBatchNorm2d
    made = kind(len(scale), 8 if axes == 1 else 4)
    made.scale.data = torch.tensor(scale)
    return made


LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "Linear": ((12,), lambda: [sj.Linear(12, 8), if_()]),
    "WSLinear": ((12,), lambda: [if_(), sj.WSLinear(12, 8), lif()]),
    "WSLinear without gain": (
        (12,),
        lambda: [sj.WSLinear(12, 8, gain=False, bias=False), lif(v_threshold=0.25)],
    ),
    "BatchNorm1d": ((12,), lambda: [sj.Linear(12, 8), sj.BatchNorm1d(8), lif()]),
    "Dropout": ((12,), lambda: [sj.Linear(12, 8), lif(), sj.Dropout(0.3), sj.Linear(8, 5), if_()]),
    "VotingLayer": ((12,), lambda: [if_(), sj.VotingLayer(4), sj.Linear(3, 4), lif()]),
    "VotingLayer of a rest": ((12,), lambda: [if_(), sj.VotingLayer(5), sj.Linear(2, 4), lif()]),
    "Delay": ((12,), lambda: [if_(), sj.Delay(3), sj.Linear(12, 6), lif(), sj.Delay(0)]),
    "ThresholdDependentBatchNorm1d": (
        (12,),
        lambda: [sj.Linear(12, 8), sj.ThresholdDependentBatchNorm1d(0.7, 1.0, 8), lif()],
    ),
    "TemporalEffectiveBatchNorm1d": (
        (12,),
        lambda: [sj.Linear(12, 8), of_scale([0.75], 1), lif()],
    ),
    "recurrent neurons alone": ((12,), lambda: [sj.Linear(12, 8), plus(lif(v_threshold=2.0))]),
    "recurrent kernel": (
        (3, 6, 6),
        lambda: [plus(sj.Conv2d(3, 3, 3, padding="same"), sj.BatchNorm2d(3), lif())],
    ),
    "LinearRecurrentContainer of layers": (
        (12,),
        lambda: [
            sj.Linear(12, 6),
            sj.LinearRecurrentContainer(
                torch.nn.Sequential(sj.Linear(6, 8), lif(), sj.Linear(8, 5), lif()), 6, 5
            ),
        ],
    ),
    "LinearRecurrentContainer without bias": (
        (12,),
        lambda: [sj.Linear(12, 6), sj.LinearRecurrentContainer(lif(), 6, 6, bias=False)],
    ),
    "Conv1d": ((3, 8), lambda: [sj.Conv1d(3, 4, 3, padding=1), if_(), sj.AvgPool1d(2), lif()]),
    "MaxPool1d": ((3, 8), lambda: [sj.Conv1d(3, 4, 3), if_(v_threshold=4.0), sj.MaxPool1d(2)]),
    "ConvTranspose1d": ((3, 8), lambda: [if_(), sj.ConvTranspose1d(3, 4, 3, stride=2), lif()]),
    "AdaptiveAvgPool1d": (
        (3, 8),
        lambda: [if_(), sj.AdaptiveAvgPool1d(3), sj.Conv1d(3, 4, 2), lif()],
    ),
    "Conv2d": ((3, 6, 6), lambda: [sj.Conv2d(3, 4, 3, 2, 1, groups=1), if_()]),
    "WSConv2d": ((3, 6, 6), lambda: [if_(), sj.WSConv2d(3, 4, 3, padding=1), lif()]),
    "ConvTranspose2d": ((3, 6, 6), lambda: [if_(), sj.ConvTranspose2d(3, 4, 3, stride=2), lif()]),
    "BatchNorm2d": (
        (3, 6, 6),
        lambda: [if_(), sj.BatchNorm2d(3), sj.Conv2d(3, 4, 3, padding=1), lif()],
    ),
    "ThresholdDependentBatchNorm2d": (
        (3, 6, 6),
        lambda: [sj.Conv2d(3, 4, 3), sj.ThresholdDependentBatchNorm2d(1.0, 0.5, 4), lif()],
    ),
    "TemporalEffectiveBatchNorm2d": (
        (3, 6, 6),
        lambda: [sj.Conv2d(3, 4, 3), of_scale([1.25], 2), lif()],
    ),
    "AvgPool2d": ((3, 6, 6), lambda: [if_(), sj.AvgPool2d(2), sj.Conv2d(3, 4, 2), lif()]),
    "MaxPool2d": (
        (3, 6, 6),
        lambda: [if_(v_threshold=4.0), sj.MaxPool2d(2), sj.Conv2d(3, 4, 2), lif()],
    ),
    "AdaptiveAvgPool2d": (
        (3, 6, 6),
        lambda: [if_(), sj.AdaptiveAvgPool2d(4), sj.Conv2d(3, 4, 2), lif()],
    ),
    "Upsample": (
        (3, 6, 6),
        lambda: [if_(), sj.Upsample(scale_factor=2), sj.Conv2d(3, 4, 3), lif()],
    ),
    "Flatten": ((3, 6, 6), lambda: [if_(), sj.Flatten(), sj.Linear(108, 6), lif()]),
    "Dropout2d": (
        (3, 6, 6),
        lambda: [sj.Conv2d(3, 4, 3), lif(), sj.Dropout2d(), sj.Conv2d(4, 4, 2), if_()],
    ),
    "SeqToANNContainer": (
        (3, 6, 6),
        lambda: [sj.SeqToANNContainer(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)), lif()],
    ),
    "MultiStepContainer": (
        (12,),
        lambda: [sj.MultiStepContainer(torch.nn.Linear(12, 8), lif()), sj.Linear(8, 5), if_()],
    ),
    "StepModeContainer": (
        (12,),
        lambda: [
            sj.StepModeContainer(True, "s", torch.nn.Linear(12, 8), lif()),
            sj.StepModeContainer(False, "s", torch.nn.Linear(8, 6), torch.nn.Dropout()),
            lif(),
        ],
    ),
    "OTTTSequential": (
        (12,),
        lambda: [sj.OTTTSequential(torch.nn.Linear(12, 8), sn.OTTTLIFNode())],
    ),
    "ActivationAwareIFNode per channel": (
        (3, 6, 6),
        lambda: [
            sj.Conv2d(3, 4, 3),
            sn.ActivationAwareIFNode(
                torch.tensor([0.5, 1.0, 1.5, 2.0]), torch.tensor([0.25, 0.0, -0.25, 0.5]), 1
            ),
        ],
    ),
    "ActivationAwareIFNode per channel from behind": (
        (3, 6, 6),
        lambda: [
            sj.Conv2d(3, 4, 3),
            sn.ActivationAwareIFNode(torch.tensor([0.5, 1.0, 1.5, 2.0]), 0.25, -3, 0.125),
        ],
    ),
    "folded MPBNLIFNode": (
        (3, 6, 6),
        lambda: [sj.Conv2d(3, 4, 3), sn.MPBNLIFNode(tau=2.0, out_channels=4)],
    ),
}
"""Layers in a row by what they show: the shape that they read, and how to make them."""

STEPS_AT_ONCE = ("Temporal", "Threshold", "SeqToANN", "MultiStep")
"""Of layers that take all steps at once only."""


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_spikingjelly_wraps_act_as_there(name: str) -> None:
    shape, make = LAYERS[name]
    mode = "s" if name == "OTTTSequential" else "m"
    net = torch.nn.Sequential(*make())
    if name.startswith("folded"):
        fill(net, Numbers.RANDOM, 7)
        net[1].re_parameterize_v_threshold()
    agrees(net, Numbers.RANDOM, shape, 7, mode)
    if not name.startswith((*STEPS_AT_ONCE, "OTTT")):
        values = spikes_in(Numbers.RANDOM, shape, 7)[:40]
        single, multi = (forward(net, firing(net), values, mode) for mode in "sm")
        assert all(np.array_equal(single[key], multi[key]) for key in single)


def test_the_scalers_of_a_converted_network_act_as_there() -> None:
    modules = pytest.importorskip("spikingjelly.activation_based.ann2snn.modules")
    net = torch.nn.Sequential(
        sj.Conv2d(3, 4, 3),
        modules.VoltageHook(),
        modules.VoltageScaler(0.7),
        if_(),
        modules.ChannelVoltageScaler(torch.tensor([0.3, 0.9, 1.7, 2.0])),
        sj.Conv2d(4, 4, 2),
        modules.ChannelVoltageScaler(torch.tensor([0.3, 0.9, 1.7, 2.0]), -3),
        if_(),
        modules.ChannelVoltageScaler(1.3),
        sj.Flatten(),
        sj.Linear(36, 5),
        lif(),
    )
    agrees(net, Numbers.RANDOM, (3, 6, 6), 8, "s", "m")


@pytest.mark.parametrize(
    ("decode", "ours"),
    [
        ("max-mem", Decode.MEMBRANE_MAX),
        ("mean-mem", Decode.MEMBRANE_MEAN),
        ("last_mem", Decode.MEMBRANE_END),
    ],
)
@pytest.mark.parametrize("kind", ["NonSpikingIFNode", "NonSpikingLIFNode"])
def test_a_readout_has_the_membrane_and_says_how_it_is_read(
    kind: str, decode: str, ours: Decode
) -> None:
    net = torch.nn.Sequential(
        sj.Linear(12, 8), lif(), sj.Linear(8, 3), getattr(sn, kind)(decode=decode)
    )
    fill(net, Numbers.DYADIC, 3)
    values = spikes_in(Numbers.DYADIC, (12,), 3)[:20]
    functional.set_step_mode(net[:3], "m")
    network = load(net).network
    with torch.no_grad():
        theirs = net(torch.tensor(values)[:, None])[0].numpy()
    trace = simulate(network, [Values(name="input", values=values[None])], EVERYTHING)
    membrane = trace["3"].state(State.MEMBRANE)[0]
    made = {"max-mem": membrane.max(0), "mean-mem": membrane.mean(0), "last_mem": membrane[-1]}
    np.testing.assert_allclose(made[decode], theirs, rtol=1e-6)
    assert network.outputs[0].decode is ours


def test_a_readout_without_a_decode_gives_every_membrane() -> None:
    net = torch.nn.Sequential(sj.Linear(12, 8), lif(), sj.Linear(8, 3), sn.NonSpikingIFNode())
    fill(net, Numbers.DYADIC, 3)
    values = spikes_in(Numbers.DYADIC, (12,), 3)[:20]
    functional.set_step_mode(net[:3], "m")
    network = load(net).network
    with torch.no_grad():
        theirs = torch.stack(net(torch.tensor(values)[:, None]))[:, 0].numpy()
    trace = simulate(network, [Values(name="input", values=values[None])], EVERYTHING)
    assert np.array_equal(trace["3"].state(State.MEMBRANE)[0], theirs)
    assert theirs.any()


def test_nothing_follows_a_readout_of_all_steps() -> None:
    net = torch.nn.Sequential(
        sj.Linear(4, 3), sn.NonSpikingLIFNode(decode="mean-mem"), sj.Linear(3, 2), sn.IFNode()
    )
    with pytest.raises(GraphError) as caught:
        load(net)
    assert str(caught.value) == (
        "error[SNN206]: it follows a layer that gives one value for all steps, '1'\n  at: 2\n"
        "  fix: end the network there, or let that layer give its membrane in every step"
    )


def test_a_membrane_at_the_threshold_fires() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), sn.IFNode())
    net[0].weight.data = torch.ones(1, 1)
    network = load(net).network
    assert network.population("1").compare is Compare.GREATER_EQUAL
    trace = simulate(network, [Values(name="input", values=np.full((1, 3, 1), 0.5))], EVERYTHING)
    assert trace["1"].state(State.PAYLOAD)[0, :, 0].tolist() == [0.0, 1.0, 0.0]


def test_states_of_a_network_that_has_run_are_not_read() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), lif(v_reset=0.25))
    fresh = load(net).nir_bytes
    net(torch.ones(2, 4))
    assert load(net).nir_bytes == fresh


def test_a_step_function_without_a_gradient_is_known() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), lif(surrogate_function=surrogate.heaviside))
    assert load(net).network.population("1").compare is Compare.GREATER_EQUAL


def test_a_reset_value_that_the_user_sets_is_where_samples_start() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), lif())
    net[1].set_reset_value("v", 0.375)
    assert load(net).network.population("1").initial == 0.375


@pytest.mark.parametrize("build", [dense, convolutional, recurrent])
@pytest.mark.parametrize(
    "kind", ["IFNode", "LIFNode", "ParametricLIFNode", "CUBALIFNode", "KLIFNode", "MPBNLIFNode"]
)
def test_a_pickled_network_is_read_as_the_live_one(
    kind: str, build: Callable[[Case], Any], tmp_path: Any
) -> None:
    net = fill(build(case(kind)), Numbers.RANDOM, 9)
    shape = (2, 6, 6) if build is convolutional else (12,)
    file = tmp_path / "model.pt"
    torch.save(net, file)
    assert load(file, sample_shape=shape).nir_bytes == load(net, sample_shape=shape).nir_bytes


def test_a_scaler_of_places_is_refused() -> None:
    modules = pytest.importorskip("spikingjelly.activation_based.ann2snn.modules")
    scaler = modules.ChannelVoltageScaler(torch.ones(4), 2)
    with pytest.raises(UnknownNodeError) as caught:
        read_layer(LayerGraph(inputs={"input": (2, 4)}), "3", scaler, "input")
    assert str(caught.value) == (
        "error[SNN203]: ChannelVoltageScaler with channel_dim=2 has a number for each place, not "
        "channel\n  at: 3\n  fix: use channel_dim=1, or count the axis from the end"
    )


def test_every_class_of_spikingjelly_is_read_or_refused_by_name() -> None:
    known = frontend("spikingjelly")
    named = {*known.layers, *known.containers, *known.wrong}
    bases = {"BaseNode", "SimpleBaseNode", "NonSpikingBaseNode", "AdaptBaseNode", "ILCBaseNode"}
    bases |= {"MPBNBaseNode", "NoisyBaseNode", "NoisyILCBaseNode", "NoisyNonSpikingBaseNode"}
    classes = {
        name
        for module in (sn, sj)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, torch.nn.Module) and name[0] != "_"
    }
    assert classes - named == bases & classes


LEVELLED = [
    case("ILIFNode"),
    case(
        "ILIFNode", tau=2.0, v_threshold=0.5, surrogate_function=surrogate.MultiLevelSpikeCount(2)
    ),
    case("TernaryIFNode"),
    case("TernaryIFNode", v_threshold=0.5, v_reset=None),
    case("TernaryLIFNode", tau=4.0, v_reset=-0.25),
    case("TernaryLIFNode", decay_input=False, v_threshold=1.5, v_reset=None),
]
"""Neurons that send several spikes a step, or spikes with a sign."""


@pytest.mark.parametrize("row", LEVELLED, ids=lambda row: f"{row.kind} {len(row.options)}")
def test_every_count_and_every_sign_is_the_same(row: Case, tmp_path: Any) -> None:
    net = fill(dense(row), Numbers.DYADIC, 3)
    values = spikes_in(Numbers.DYADIC, (12,), 3)
    functional.set_step_mode(net, "m")
    theirs: dict[str, Any] = {}
    for place in ("1", "3"):
        for factor in (4.0, *[0.5] * 6):
            net[int(place) - 1].weight.data *= factor
            functional.reset_net(net)
            with recorded({place: net[int(place)]}) as kept, torch.no_grad(), one_thread():
                net(torch.tensor(values)[:, None])
            theirs[place] = kept[place][0][:, 0]
            if np.mean(theirs[place] != 0) < 0.5:
                break
    assert len(np.unique(np.concatenate([sent.ravel() for sent in theirs.values()]))) >= 3
    imported = load(net, sample_shape=(12,))
    assert_same_spikes(imported.network, values, theirs, exact=True)
    file = tmp_path / "model.pt"
    torch.save(net, file)
    assert load(file, sample_shape=(12,)).nir_bytes == imported.nir_bytes


UNREAD = frontend("spikingjelly").wrong


@pytest.mark.parametrize("kind", UNREAD)
def test_a_class_that_no_chip_could_follow_is_refused_by_name(kind: str) -> None:
    layer = Stub(f"spikingjelly.activation_based.somewhere.{kind}")
    with pytest.raises(UnknownNodeError) as caught:
        read_layer(LayerGraph(inputs={"input": (4,)}), "3", layer, "input")
    assert str(caught.value) == f"error[SNN203]: {kind}: {UNREAD[kind]}\n  at: 3"


def precise(node: Any) -> Any:
    node._neuron_precision = (torch.float16, "fp16", "fp32")
    return node


def starting(node: Any, value: Any) -> Any:
    node.set_reset_value("v", value)
    return node


class Mine(surrogate.Sigmoid):
    """A surrogate function of a user."""


def of_levels(function: Any) -> Any:
    node = sn.ILIFNode()
    node.surrogate_function = function
    return node


def folded(**options: Any) -> Any:
    node = sn.MPBNLIFNode(out_features=4, **options)
    node.re_parameterize_v_threshold(normalize_residual=options.get("v_reset", 0) == 0.5)
    return node


STEP = "set surrogate_function=surrogate.Sigmoid(), if its forward is a step at 0"

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "soft spikes": (
        lambda: sn.IFNode(surrogate_function=surrogate.ATan(spiking=False)),
        "error[SNN203]: the surrogate function ATan is set to spiking=False, and gives no spikes\n"
        f"  at: 3.surrogate_function\n  fix: {STEP}",
    ),
    "random spikes": (
        lambda: sn.IFNode(surrogate_function=surrogate.PoissonPass()),
        "error[SNN203]: the surrogate function PoissonPass fires at random\n"
        f"  at: 3.surrogate_function\n  fix: {STEP}",
    ),
    "several spikes": (
        lambda: sn.IFNode(surrogate_function=surrogate.MultiLevelSpikeCount(4)),
        "error[SNN203]: the surrogate function MultiLevelSpikeCount counts several spikes\n"
        f"  at: 3.surrogate_function\n  fix: {STEP}",
    ),
    "several levels of other makers": (
        lambda: of_levels(Mine()),
        "error[SNN203]: ILIFNode with the surrogate function Mine is not read\n"
        "  at: 3.surrogate_function\n"
        "  fix: set surrogate_function=surrogate.MultiLevelSpikeCount(D)",
    ),
    "a surrogate of the user": (
        lambda: sn.LIFNode(surrogate_function=Mine()),
        "error[SNN203]: the surrogate function Mine is not one of SpikingJelly's, and what it "
        f"gives forward is not known\n  at: 3.surrogate_function\n  fix: {STEP}",
    ),
    "low precision": (
        lambda: precise(sn.IFNode()),
        "error[SNN203]: IFNode with a neuron precision of (torch.float16, 'fp16', 'fp32') is not "
        "read\n  at: 3\n  fix: convert the network back to full precision",
    ),
    "a tensor to start from": (
        lambda: starting(sn.IFNode(), torch.zeros(4)),
        "error[SNN203]: IFNode whose state v is reset to a tensor is not read\n"
        "  at: 3\n  fix: set_reset_value('v', a number)",
    ),
    "no leak": (
        lambda: sn.SimpleLIFNode(tau=-2.0, decay_input=True),
        "error[SNN207]: tau is -2, but it must be positive\n  at: 3.tau",
    ),
    "a negative slope": (
        lambda: case("KLIFNode", {"k": -1.0}, scale_reset=True).make(4, False),
        "error[SNN207]: k is -1, but it must be positive\n  at: 3.k",
    ),
    "a residual of silent neurons": (
        lambda: folded(v_reset=0.5),
        "error[SNN203]: MPBNLIFNode with normalize_residual=True normalises only neurons that stay "
        "silent\n  at: 3\n  fix: call re_parameterize_v_threshold(normalize_residual=False)",
    ),
    "thresholds along the last axis": (
        lambda: folded(v_reset=None, learnable_vth=True),
        "error[SNN203]: MPBNLIFNode with a threshold per channel and v_reset=None subtracts it "
        "along the last axis, which are no channels\n  at: 3\n  fix: set v_reset=0.0",
    ),
    "thresholds of places": (
        lambda: sn.ActivationAwareIFNode(torch.ones(4), 0.0, 2),
        "error[SNN203]: ActivationAwareIFNode with channel_dim=2 has a number for each place, not "
        "channel\n  at: 3\n  fix: use channel_dim=1, or count the axis from the end",
    ),
    "a readout by size": (
        lambda: sn.NonSpikingIFNode("max-abs-mem"),
        "error[SNN203]: NonSpikingIFNode with decode='max-abs-mem' is not read\n"
        "  at: 3\n  fix: known are max-mem, mean-mem, last_mem",
    ),
    "groups without a value to reset to": (
        lambda: sn.ILCIFNode(2, 2, v_reset=None),
        "error[SNN203]: ILCIFNode with v_reset=None does not run in SpikingJelly either\n"
        "  at: 3\n  fix: set v_reset=0.0",
    ),
    "recurrence by a product": (
        lambda: sj.ElementWiseRecurrentContainer(sn.IFNode(), operator.mul),
        "error[SNN203]: the element_wise_function '_operator.mul' is not known to be "
        "x + y\n  at: 3.element_wise_function\n  fix: use torch.add, operator.add or "
        "lambda x, y: x + y; other functions have no counterpart on a chip",
    ),
    "neurons that take steps for samples": (
        lambda: sj.SeqToANNContainer(torch.nn.Sequential(torch.nn.Linear(4, 4), sn.IFNode())),
        "error[SNN203]: IFNode in a SeqToANNContainer takes the steps for samples\n"
        "  at: 3.0.1\n  fix: put neurons into a MultiStepContainer",
    ),
    "a scale for each step": (
        lambda: of_scale([1.0, 2.0, 1.0], 1),
        "error[SNN203]: TemporalEffectiveBatchNorm1d with a scale for each step is not read: "
        "weights do not change with time\n  at: 3\n  fix: train it with one scale for all steps, "
        "or use BatchNorm",
    ),
    "a class of other makers": (
        lambda: Stub("spikingjelly.activation_based.neuron.mine.MyNode"),
        "error[SNN203]: a layer of class spikingjelly.activation_based.neuron.mine.MyNode is not "
        "read\n  at: 3\n  fix: known of spikingjelly are "
        + ", ".join(frontend("spikingjelly").layers),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_that_is_not_read_is_refused_with_the_way_out(name: str) -> None:
    make, text = REFUSED[name]
    with pytest.raises((UnknownNodeError, DynamicsError)) as caught:
        read_layer(LayerGraph(inputs={"input": (4,)}), "3", make(), "input")
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "function",
    [
        operator.add,
        torch.add,
        lambda x, y: x + y,
        lambda a, b: b + a,
        Reference("_operator", "add"),
        Reference("torch._C", "_VariableFunctionsClass").member("add"),
    ],
)
def test_functions_that_add_are_known(function: Any) -> None:
    layer = Stub("spikingjelly.activation_based.layer.container.ElementWiseRecurrentContainer")
    set_state(layer, {"element_wise_function": function, "sub_module": if_()})
    graph = LayerGraph(inputs={"input": (4,)})
    assert read_layer(graph, "3", layer, "input") == "3.sub_module"
    assert graph.nodes["3.sub_module"].fed_back == ("3.sub_module",)


@pytest.mark.parametrize(
    "function",
    [operator.mul, torch.sub, lambda x, y: x - y, lambda x, y: x + y + y, lambda x, y=1: x + 2],
)
def test_functions_that_do_not_add_are_not_taken_for_it(function: Any) -> None:
    layer = sj.ElementWiseRecurrentContainer(if_(), function)
    with pytest.raises(UnknownNodeError, match="not known to be x \\+ y"):
        read_layer(LayerGraph(inputs={"input": (4,)}), "3", layer, "input")
