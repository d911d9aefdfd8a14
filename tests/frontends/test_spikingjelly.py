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

from snn_deploy.errors import DynamicsError, UnknownNodeError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.registry import frontend, read_layer
from snn_deploy.frontends.torch_stub import Reference, Stub, set_state
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
    case("KLIFNode", {"k": 0.5}, decay_input=False, v_reset=None),
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
    """Double or halve what feeds silent or busy neurons until all are active, first to last."""
    feeding, last = {}, None
    for name, module in net.named_modules():
        if name in watched and hasattr(module, "surrogate_function"):
            feeding[name] = last
        elif isinstance(getattr(module, "weight", None), torch.nn.Parameter):
            last = module
    for _ in range(16):
        shares = {name: s.mean() for name, s in forward(net, watched, values, mode).items()}
        wrong = [name for name in feeding if not 0.06 < shares[name] < 0.5]
        if not wrong:
            return
        for parameter in (feeding[wrong[0]].weight, feeding[wrong[0]].bias):
            if parameter is not None:
                parameter.data *= 2.0 if shares[wrong[0]] <= 0.06 else 0.5
    raise AssertionError(f"the network cannot be made active: {shares}")


def agrees(
    net: Any, numbers: Numbers, shape: tuple[int, ...], seed: int, *modes: str
) -> Any:
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
    agrees(dense(row), Numbers.DYADIC, (12,), 1, *modes(row))


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
