"""rockpool's torch modules: our network sends, in every step, what theirs send."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from framework_networks import one_thread
from framework_oracle import assert_same_spikes

from snn_deploy.errors import DynamicsError, GraphError, UnknownNodeError
from snn_deploy.frontends import load
from snn_deploy.frontends.capture import compare_with_module
from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.frontends.registry import read_layer
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

torch = pytest.importorskip("torch")
rm = pytest.importorskip("rockpool.nn.modules")
rc = pytest.importorskip("rockpool.nn.combinators")
periodic = pytest.importorskip("rockpool.nn.modules.torch.lif_torch").PeriodicExponential

pytestmark = pytest.mark.torch

STEPS, SHORT = 200, 50

DT = 1e-3
"""rockpool's usual step [s]."""

ACTIVE = 0.3
"""Weights are halved until a layer fires in less than this share of its neurons' steps."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: a class of neurons and its options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    synapses: int = 1
    """Per neuron."""

    recurrent: bool = False

    def __str__(self) -> str:
        words = [self.kind] + ["recurrent"] * self.recurrent
        words += [f"synapses={self.synapses}"] * (self.synapses > 1)
        for key, value in self.options.items():
            words.append(f"{key}={getattr(value, '__name__', value)}")
        return " ".join(words)


def lif(synapses: int = 1, recurrent: bool = False, **options: Any) -> Case:
    return Case("LIFTorch", options, synapses, recurrent)


def decays(alpha: float, beta: Any, *more: Any, **options: Any) -> Case:
    """Return neurons whose decays are parameters."""
    return lif(*more, leak_mode="decays", alpha=alpha, beta=beta, **options)


def bitshift(tau_mem: float, tau_syn: Any, *more: Any, **options: Any) -> Case:
    """Return neurons whose decays are rounded to powers of two."""
    return Case("LIFBitshiftTorch", {"tau_mem": tau_mem, "tau_syn": tau_syn, **options}, *more)


TWO = [[0.5, 0.75]]
"""Decays of two synapses."""

EXACT = [
    decays(0.75, 0.5),
    decays(0.5, 0.75, bias=0.0625),
    decays(0.75, 0.5, max_spikes_per_dt=1),
    decays(0.75, 0.5, max_spikes_per_dt=3),
    decays(0.75, 0.5, threshold=0.5, spike_generation_fn=periodic),
    decays(0.75, 0.5, 2),
    decays(0.75, TWO, 2),
    decays(0.75, 0.5, 1, True),
    decays(0.75, 0.5, 2, True, bias=-0.0625),
    decays(0.75, TWO, 2, True, max_spikes_per_dt=2),
    lif(leak_mode="bitshifts", dash_mem=2.0, dash_syn=1.0),
    lif(2, leak_mode="bitshifts", dash_mem=3.0, dash_syn=[[1.0, 2.0]]),
    bitshift(4e-3, 2e-3),
    bitshift(7e-3, 3e-3, 1, True),
    bitshift(9e-3, [[2e-3, 5e-3]], 2),
    bitshift(5e-3, 2e-3, max_spikes_per_dt=1),
    Case("LIFNeuronTorch", {"tau_mem": np.inf}),
    Case("LIFNeuronTorch", {"tau_mem": np.inf, "bias": -0.0625, "max_spikes_per_dt": 1}),
]
"""Arithmetic of few bits: not one spike may differ."""

RANDOM = [
    lif(),
    lif(tau_mem=12e-3, tau_syn=4e-3, bias=0.01),
    lif(tau_mem=12e-3, tau_syn=4e-3, dt=2e-3, threshold=0.7),
    lif(tau_mem=12e-3, tau_syn=4e-3, max_spikes_per_dt=1),
    lif(2, tau_mem=12e-3, tau_syn=4e-3),
    lif(2, tau_mem=12e-3, tau_syn=[[4e-3, 9e-3]]),
    lif(1, True, tau_mem=12e-3, tau_syn=4e-3),
    lif(3, True, tau_mem=12e-3, tau_syn=[[4e-3, 9e-3, 2e-3]]),
    decays(0.81, 0.67, 1, True),
    lif(leak_mode="bitshifts", dash_mem=2.3, dash_syn=1.2),
    bitshift(11e-3, 4e-3, 1, True, bias=-0.01),
    Case("LIFNeuronTorch", {"tau_mem": 8e-3, "bias": 0.01}),
    Case("LIFNeuronTorch", {"tau_mem": 8e-3, "max_spikes_per_dt": 1}),
    Case("aLIFTorch", {"tau_mem": 12e-3, "tau_syn": 4e-3, "tau_ahp": 15e-3}),
    Case("aLIFTorch", {"tau_mem": 12e-3, "tau_syn": [[4e-3, 9e-3]]}, 2, True),
]
"""Any numbers: a spike may differ where float32 cannot tell."""


def weights(rng: np.random.Generator, exact: bool, *shape: int) -> Any:
    values = rng.integers(-4, 9, shape) / 8 if exact else rng.normal(0.1, 0.4, shape)
    return torch.tensor(values, dtype=torch.float32)


def linear(rng: np.random.Generator, exact: bool, pre: int, post: int, bias: bool = True) -> Any:
    layer = rm.LinearTorch((pre, post), weight=weights(rng, exact, pre, post), has_bias=bias)
    if bias:
        layer.bias.data = weights(rng, exact, post) / 16
    return layer


def neurons(case: Case, rng: np.random.Generator, exact: bool, width: int) -> Any:
    """Return `width` neurons; parameters of several values are tensors."""
    options = {
        name: torch.tensor(value)
        if isinstance(value, list | float) and name not in ("dt",)
        else value
        for name, value in case.options.items()
    }
    if case.recurrent:
        options["has_rec"] = True
        back = weights(rng, exact, width, width * case.synapses)
        options["w_rec"] = back / (16 * case.synapses) - 2.0**-7
    if "max_spikes_per_dt" in options:
        options["max_spikes_per_dt"] = torch.tensor(options["max_spikes_per_dt"])
    shape = width if case.kind == "LIFNeuronTorch" else (width * case.synapses, width)
    return getattr(rm, case.kind)(shape, **options)


def network(case: Case, rng: np.random.Generator, exact: bool) -> Any:
    return rc.Sequential(
        linear(rng, exact, 10, 20 * case.synapses),
        neurons(case, rng, exact, 20),
        linear(rng, exact, 20, 12 * case.synapses, bias=False),
        neurons(case, rng, exact, 12),
    )


def given(module: Any, values: Any) -> Any:
    """Return what a module gives from a fresh state."""
    module.reset_state()
    with torch.no_grad():
        return module(values)[0]


def fires(module: Any) -> bool:
    return "LIF" in type(module).__name__


def tune(module: Any, values: Any) -> None:
    """Scale the weights before each layer of neurons by powers of two such that it is active."""
    row: list[Any] = []
    for layer in module.children():
        row.append(layer)
        if not fires(layer):
            continue
        (linear,) = (part for part in row if hasattr(part, "weight"))
        weight = linear.weight.data.clone()
        for exponent in range(2, -9, -1):
            linear.weight.data = weight * 2.0**exponent
            sent = values
            for part in row:
                sent = given(part, sent)
            if (sent != 0).double().mean() < ACTIVE:
                break
        values, row = sent, []


def compare(module: Any, *, exact: bool, inputs: int = 10) -> None:
    """Check that our network sends what rockpool's neurons send."""
    x = (np.random.default_rng(1).random((STEPS, inputs)) < 0.3).astype(np.float64)
    values, theirs = torch.tensor(x[None], dtype=torch.float32), {}
    with one_thread():
        tune(module, values[:, :SHORT])
        for name, layer in module.named_children():
            values = given(layer, values)
            if fires(layer):
                theirs[name] = values[0].numpy()
    assert_same_spikes(load(module).network, x, theirs, exact=exact)


@pytest.mark.parametrize("case", EXACT, ids=str)
def test_numbers_of_few_bits_give_the_same_spikes(case):
    compare(network(case, np.random.default_rng(3), exact=True), exact=True)


@pytest.mark.parametrize("case", RANDOM, ids=str)
def test_any_numbers_differ_only_where_a_membrane_is_next_to_its_threshold(case):
    compare(network(case, np.random.default_rng(4), exact=False), exact=False)


def heard(module: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each layer of neurons inside gives, by its dotted name."""
    found: dict[str, np.ndarray] = {}

    def keep(name: str) -> Any:
        def hook(layer: Any, inputs: Any, output: Any) -> None:
            found[name] = output[0].detach().numpy()

        return hook

    layers = {n: m for n, m in torch.nn.Module.named_modules(module) if fires(m)}
    handles = [m.register_forward_hook(keep(n)) for n, m in layers.items()]
    given(module, torch.tensor(x[None], dtype=torch.float32))
    for handle in handles:
        handle.remove()
    return found


def same(module: Any, *, inputs: int, prefix: str = "") -> None:
    """Check that our network sends what the neurons inside a module send."""
    x = (np.random.default_rng(1).random((STEPS, inputs)) < 0.3).astype(np.float64)
    network = load(module, sample_shape=(inputs,)).network
    theirs = {f"{prefix}{name}": sent for name, sent in heard(module, x).items()}
    assert_same_spikes(network, x, theirs, exact=True)


def short(width: int, **options: Any) -> Any:
    """Return neurons of few bits."""
    decays = {"alpha": torch.tensor(0.75), "beta": torch.tensor(0.5)}
    return rm.LIFTorch(width, leak_mode="decays", **decays, **options)


def test_a_residual_adds_what_enters_it():
    rng = np.random.default_rng(5)
    inner = rc.Residual(linear(rng, True, 12, 12), short(12))
    module = rc.Sequential(
        linear(rng, True, 10, 12), short(12), inner, linear(rng, True, 12, 8), short(8)
    )
    for layer, exponent in ((module[0], -2), (inner[0], 0), (module[3], -2)):
        layer.weight.data *= 2.0**exponent
    same(module, inputs=10)


def test_a_stack_has_weights_between_its_modules():
    rng = np.random.default_rng(6)
    stack = rc.FFwdStack(
        short(10), short(12), short(8), weight_init_func=lambda s: weights(rng, True, *s) / 2
    )
    same(stack, inputs=10, prefix="0.")


def joined(how: str) -> Any:
    """Return a network with a module that joins others, or such a module alone."""
    rng = np.random.default_rng(5)

    def dense(*shape: int) -> Any:
        made = linear(rng, True, *shape)
        made.weight.data /= 4
        return made

    inner = rc.Residual(dense(10, 12), short(12), dense(12, 10), short(10))
    if how.startswith("stack"):
        inner = rc.FFwdStack(
            short(10), short(12), short(10), weight_init_func=lambda s: weights(rng, True, *s) / 4
        )
    return inner if how.endswith("alone") else rc.Sequential(dense(10, 10), inner, dense(10, 8))


@pytest.mark.parametrize("how", ["residual", "residual alone", "stack", "stack alone"])
def test_modules_that_join_others_are_compared_on_a_sample(how):
    module = joined(how)
    sample = 16.0 * (np.random.default_rng(1).random((24, 10)) < 0.3)
    network = load(module, sample=sample).network
    compared = compare_with_module(module, network, sample)
    assert compared.agrees
    spiking = {p.name for p in network.populations if p.fires.spiking}
    assert {p.name for p in compared.populations} == spiking
    assert not compared.silent


def test_more_spikes_than_messages_hold_are_refused_with_what_helps():
    def strong(most: float) -> Any:
        return rc.Sequential(
            rm.LinearTorch((2, 1), weight=torch.full((2, 1), 512.0)),
            short(1, max_spikes_per_dt=most),
        )

    sample = np.ones((5, 2))
    with pytest.raises(GraphError) as caught:
        load(strong(1e6), sample=sample)
    assert str(caught.value) == (
        "error[SNN206]: the module's neuron sends 512 spikes in a step, and ours at most 255: a "
        "chip's messages need a bound\n"
        "  at: 1_LIFTorch[0], step 0\n"
        "  fix: give the module that bound too, such as max_spikes_per_dt=255 or MaxSpike(255), or "
        "a weaker sample="
    )
    assert load(strong(255), sample=sample).network
    assert load(strong(1e6), sample=sample / 8).network


def test_layers_of_torch_between_rockpool_s_are_read():
    rng = np.random.default_rng(7)
    first, second = torch.nn.Linear(10, 12), torch.nn.Linear(12, 8, bias=False)
    first.weight.data = weights(rng, True, 12, 10) / 2
    first.bias.data = weights(rng, True, 12) / 16
    second.weight.data = weights(rng, True, 8, 12) / 4
    module = rc.Sequential(
        rm.LinearTorch((10, 10), weight=torch.eye(10)),
        first,
        short(12),
        rm.UnitDropout((12, 12), training=False),
        rm.TimeStepDropout((12, 12), training=False),
        second,
        short(8),
    )
    same(module, inputs=10)


def test_every_neuron_and_synapse_may_have_parameters_of_its_own():
    rng = np.random.default_rng(8)

    def own(low: float, high: float, *shape: int) -> Any:
        return torch.tensor(rng.uniform(low, high, shape), dtype=torch.float32)

    module = rc.Sequential(
        linear(rng, False, 10, 24),
        rm.LIFTorch(
            (24, 12),
            tau_mem=own(5e-3, 20e-3, 12),
            tau_syn=own(2e-3, 9e-3, 12, 2),
            threshold=own(0.5, 2, 12),
            bias=own(-0.02, 0.02, 12),
        ),
        linear(rng, False, 12, 8),
        rm.LIFNeuronTorch(8, tau_mem=own(5e-3, 20e-3, 8), threshold=own(0.5, 2, 8)),
    )
    compare(module, exact=False)


def test_a_filter_gives_its_current_and_is_an_answer():
    rng = np.random.default_rng(9)
    module = rc.Sequential(
        linear(rng, False, 10, 12),
        rm.ExpSynTorch(12, tau=torch.tensor(4e-3)),
        linear(rng, False, 12, 8),
        rm.LIFNeuronTorch(8),
        linear(rng, False, 8, 4),
        rm.ExpSynTorch(4, tau=torch.linspace(2e-3, 9e-3, 4)),
    )
    module[2].weight.data /= 16
    x = (rng.random((STEPS, 10)) < 0.3).astype(np.float64)
    imported = load(module)
    assert_same_spikes(imported.network, x, heard(module, x), exact=False)
    theirs = given(module, torch.tensor(x[None], dtype=torch.float32))[0].numpy()
    trace = simulate(imported.network, [Values(name="input", values=x[None])], EVERYTHING)
    ours = trace["5_ExpSynTorch"].membrane[0]
    assert np.abs(theirs).max() > 0.1
    assert np.abs(theirs - ours).max() < 1e-5 * np.abs(theirs).max()
    assert [o.decode for o in imported.network.outputs] == [Decode.MEMBRANE_END]


def layers_of(module: Any, width: int = 4) -> LayerGraph:
    """Return what is read from one module."""
    graph = LayerGraph(inputs={"input": (width,)})
    read_layer(graph, "layer", module, "input")
    return graph


def test_a_bit_shift_decays_by_numbers_of_few_bits():
    module = rm.LIFBitshiftTorch(4, tau_mem=torch.tensor(13e-3), tau_syn=torch.tensor(5e-3))
    cell = layers_of(module).nodes["layer"].layer
    assert isinstance(cell, Cell)
    assert cell.synapse is not None
    assert float(cell.decay) == 1 - 2**-4
    assert cell.synapse.decay.tolist() == [1 - 2**-2] * 4
    assert cell.max_spikes == 31


def test_synapses_of_equal_decay_need_no_neurons_of_their_own():
    equal = layers_of(rm.LIFTorch((8, 4), tau_syn=torch.tensor(5e-3)), 8)
    apart = layers_of(rm.LIFTorch((8, 4), tau_syn=torch.tensor([[5e-3, 6e-3]])), 8)
    assert list(equal.nodes) == ["layer.synapses", "layer"]
    assert [type(n.layer) for n in equal.nodes.values()].count(Cell) == 1
    assert list(apart.nodes) == ["layer.synapses", "layer.sum", "layer"]
    assert [type(n.layer) for n in apart.nodes.values()].count(Cell) == 2


def test_neurons_send_as_many_spikes_as_they_may_but_255_where_they_are_not_bound():
    def read(**options: Any) -> Cell:
        cell = layers_of(rm.LIFTorch(4, **options)).nodes["layer"].layer
        assert isinstance(cell, Cell)
        return cell

    assert read().max_spikes == 255
    assert read(max_spikes_per_dt=torch.tensor(np.inf)).max_spikes == 255
    assert read(max_spikes_per_dt=torch.tensor(1000)).max_spikes == 1000
    assert read(max_spikes_per_dt=torch.tensor(1)).fires is Fires.BINARY


def test_a_bound_on_spikes_that_is_ours_is_said():
    assert [str(finding) for finding in layers_of(rm.LIFTorch(4)).findings] == [
        "changed    (network): at most 255 spikes a step of one neuron; rockpool has no such bound "
        "here; a chip's messages need one"
    ]
    assert layers_of(rm.LIFBitshiftTorch(4)).findings == []


def test_the_time_step_is_the_modules_own():
    module = rc.Sequential(
        rm.LinearTorch((4, 3)), rm.LIFTorch(3, dt=2e-3), rm.ExpSynTorch(3, dt=2e-3)
    )
    assert load(module).network.dt == 2e-3


def test_the_states_that_training_left_are_not_read():
    module = rm.LIFTorch(4)
    before = str(layers_of(module).nodes)
    module(torch.full((1, 1, 4), 0.25))
    assert float(module.vmem.detach()[0]) > 0.2
    assert str(layers_of(module).nodes) == before


class Own(torch.autograd.Function):
    pass


def refused(*modules: Any) -> str:
    with pytest.raises((UnknownNodeError, DynamicsError)) as caught:
        load(rc.Sequential(rm.LinearTorch((4, 3)), *modules))
    return str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: rm.RateTorch(3),
            "error[SNN203]: RateTorch: its units send rates, not spikes\n  at: 1_RateTorch",
        ),
        (
            lambda: rm.InstantTorch((3, 3), torch.relu),
            "error[SNN203]: InstantTorch: it wraps a function, which may compute anything: use a "
            "layer of torch\n  at: 1_InstantTorch",
        ),
        (
            lambda: rm.UpDownTorch(3),
            "error[SNN203]: UpDownTorch: it makes spikes of values: give the network its spikes as "
            "the input\n  at: 1_UpDownTorch",
        ),
        (
            lambda: rm.LIFTorch(3, noise_std=0.1),
            "error[SNN203]: LIFTorch with noise_std=0.1 is not read: its spikes are random\n"
            "  at: 1_LIFTorch\n"
            "  fix: set noise_std to 0, which is how a trained network is used",
        ),
        (
            lambda: rm.ExpSynTorch(3, noise_std=0.5),
            "error[SNN203]: ExpSynTorch with noise_std=0.5 is not read: its spikes are random\n"
            "  at: 1_ExpSynTorch\n"
            "  fix: set noise_std to 0, which is how a trained network is used",
        ),
        (
            lambda: rm.LIFTorch(3, spike_generation_fn=Own),
            "error[SNN203]: the spike function 'Own' is not read\n"
            "  at: 1_LIFTorch.spike_generation_fn\n"
            "  fix: known are StepPWL, PeriodicExponential of rockpool",
        ),
        (
            lambda: rm.LIFTorch(3, threshold=torch.tensor(-1.0)),
            "error[SNN207]: a threshold of -1, by which the membrane is divided to count spikes\n"
            "  at: 1_LIFTorch.threshold\n"
            "  fix: use positive thresholds",
        ),
        (
            lambda: rm.LIFNeuronTorch(3, max_spikes_per_dt=torch.tensor(2.5)),
            "error[SNN207]: 2.5 spikes at most in a step\n"
            "  at: 1_LIFNeuronTorch.max_spikes_per_dt\n"
            "  fix: use a whole number from 1 on",
        ),
        (
            lambda: torch.nn.GRU(3, 3),
            "error[SNN203]: a layer of class torch.nn.modules.rnn.GRU is not read between "
            "rockpool's modules\n"
            "  at: 1_GRU\n"
            "  fix: use LinearTorch, or a network of torch's and another framework's layers",
        ),
    ],
)
def test_what_is_not_read_is_named(make, message):
    assert refused(make()) == message


def test_modules_of_two_time_steps_are_refused():
    assert refused(rm.LIFTorch(3), rm.ExpSynTorch(3, dt=2e-3)) == (
        "error[SNN207]: modules have different time steps: 0.001, 0.002 s\n"
        "  at: 2_ExpSynTorch\n"
        "  fix: give all modules the same dt"
    )


def test_modules_of_another_kind_than_torch_s_are_refused():
    with pytest.raises(UnknownNodeError) as caught:
        layers_of(rm.LIF(4))
    assert str(caught.value) == (
        "error[SNN203]: LIF: only rockpool's torch modules are read: use LIFTorch\n  at: layer"
    )
