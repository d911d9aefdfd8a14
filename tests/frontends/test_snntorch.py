"""snnTorch itself is the oracle: every class and option, spike for spike in every population."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from framework_networks import Numbers, Shape, enliven, one_thread, set_weights, spikes_in
from framework_oracle import assert_same_spikes, recorded

from snn_deploy.errors import ModelError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.registry import read_layer
from snn_deploy.frontends.snntorch import FRONTEND
from snn_deploy.frontends.torch_file import read_torch_file
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")
surrogate = pytest.importorskip("snntorch.surrogate")

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),
]

DECAYS = {
    Numbers.DYADIC: {"alpha": 0.75, "beta": 0.5},
    Numbers.RANDOM: {"alpha": 0.83, "beta": 0.71},
}
"""0.83 and 0.71 are no float32 numbers: they are what torch makes of them."""


def numbers_like(shape: Shape, numbers: Numbers, low: float, high: float) -> Any:
    """Return a tensor of parameters between two bounds."""
    rng = np.random.default_rng(7)
    values = rng.uniform(low, high, shape)
    values = np.rint(values * 8) / 8 if numbers is Numbers.DYADIC else values
    return torch.tensor(values, dtype=torch.float32)


Option = Callable[[Shape, Numbers], Any]
"""(shape of the layer, kind of numbers) -> the value of an option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One class and what it is made with."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    per_layer: Mapping[str, Option] = field(default_factory=dict)
    """Options that depend on the layer's shape."""

    numbers: tuple[Numbers, ...] = tuple(Numbers)
    note: str = ""

    def __str__(self) -> str:
        words = [self.kind]
        words += [f"{key}={value}" for key, value in self.options.items()]
        words += [f"{key}=..." for key in self.per_layer]
        return "-".join((*words, self.note)).rstrip("-")

    def make(self, shape: Shape, numbers: Numbers) -> Any:
        """Return the layer of neurons of that shape."""
        options: dict[str, Any] = {"init_hidden": True}
        if self.kind != "Lapicque":
            options["beta"] = DECAYS[numbers]["beta"]
        if self.kind in ("Synaptic", "RSynaptic", "Alpha"):
            options["alpha"] = DECAYS[numbers]["alpha"]
        options |= self.options
        options |= {key: option(shape, numbers) for key, option in self.per_layer.items()}
        if self.kind in ("RLeaky", "RSynaptic") and options.get("all_to_all", True):
            options |= (
                {"linear_features": shape[0]}
                if len(shape) == 1
                else {"conv2d_channels": shape[0], "kernel_size": 3}
            )
        return getattr(snn, self.kind)(**options)


def resets(kind: str, *, delays: tuple[bool, ...] = (True, False), **options: Any) -> list[Row]:
    """Return a row for each way of resetting."""
    return [
        Row(kind=kind, options={"reset_mechanism": how, "reset_delay": late, **options})
        for how in ("subtract", "zero", "none")
        for late in delays
    ]


def per_neuron(low: float, high: float) -> Option:
    return lambda shape, numbers: numbers_like(shape, numbers, low, high)


def per_channel(low: float, high: float) -> Option:
    return lambda shape, numbers: numbers_like(
        (shape[0], *(1,) * (len(shape) - 1)), numbers, low, high
    )


TABLE = [
    *resets("Leaky"),
    *resets("Synaptic"),
    *resets("RLeaky"),
    *resets("RSynaptic", delays=(True,)),
    *(
        Row(kind="Lapicque", options={"reset_mechanism": how, "R": 2.0, "C": 2.0})
        for how in ("subtract", "zero", "none")
    ),
    Row(kind="Lapicque", options={"R": 3.0, "C": 2.5, "time_step": 2}, numbers=(Numbers.RANDOM,)),
    Row(kind="Lapicque", options={"beta": 0.8}, numbers=(Numbers.RANDOM,)),
    Row(kind="Lapicque", options={"beta": 0.8, "R": 1.7}, numbers=(Numbers.RANDOM,)),
    Row(kind="Lapicque", options={"beta": 0.8, "C": 4.0}, numbers=(Numbers.RANDOM,)),
    Row(kind="Lapicque", options={"R": 2, "C": 4}, note="whole numbers"),
    # log2 of these decays is whole, so that snnTorch's quotient of logarithms is exact.
    Row(
        kind="Alpha",
        options={"reset_mechanism": "none", "alpha": 0.5, "beta": 0.25},
        numbers=(Numbers.DYADIC,),
    ),
    Row(kind="Alpha", options={"reset_mechanism": "none"}, numbers=(Numbers.RANDOM,)),
    *(
        Row(kind=kind, options={"all_to_all": False, "reset_delay": late, "V": 0.375})
        for kind, late in (("RLeaky", True), ("RLeaky", False), ("RSynaptic", True))
    ),
    Row(kind="RLeaky", options={"all_to_all": False}, per_layer={"V": per_neuron(-1, 1)}),
    Row(kind="RSynaptic", options={"all_to_all": False}, per_layer={"V": per_channel(-1, 1)}),
    Row(kind="RLeaky", options={"learn_recurrent": False, "reset_mechanism": "zero"}),
    Row(kind="Leaky", per_layer={"beta": per_neuron(0, 1), "threshold": per_neuron(0.5, 2)}),
    Row(
        kind="Leaky",
        options={"reset_delay": False},
        per_layer={"beta": per_neuron(0, 1), "threshold": per_neuron(0.5, 2)},
    ),
    Row(
        kind="Synaptic",
        options={"learn_alpha": True, "learn_beta": True, "learn_threshold": True},
        per_layer={"alpha": per_channel(0, 1), "beta": per_neuron(0, 1)},
    ),
    Row(kind="Leaky", per_layer={"beta": per_neuron(-0.5, 1.5)}, note="clamped"),
    Row(kind="Synaptic", options={"alpha": 1.25, "beta": -0.25}, note="clamped"),
    Row(kind="Leaky", options={"beta": np.exp(-0.2)}, numbers=(Numbers.RANDOM,), note="float64"),
    Row(kind="Leaky", options={"beta": 1}, note="no leak"),
    Row(kind="Leaky", options={"graded_spikes_factor": 0.25}),
    Row(kind="Leaky", options={"graded_spikes_factor": -0.75, "reset_delay": False}),
    Row(
        kind="Leaky",
        options={"reset_mechanism": "zero", "learn_graded_spikes_factor": True},
        per_layer={"graded_spikes_factor": per_neuron(0.5, 2)},
    ),
]


def network(row: Row, form: str, numbers: Numbers) -> tuple[Any, dict[str, Any], Shape]:
    """Return (network, its neuron layers by name, shape of a sample)."""
    if form == "dense":
        layers = (
            torch.nn.Linear(12, 20),
            row.make((20,), numbers),
            torch.nn.Linear(20, 10),
            row.make((10,), numbers),
        )
        module, shape = torch.nn.Sequential(*layers), (12,)
    else:
        layers = (
            torch.nn.Conv2d(2, 4, 3, padding=1),
            row.make((4, 6, 6), numbers),
            torch.nn.AvgPool2d(2),
            torch.nn.Conv2d(4, 6, 2),
            row.make((6, 2, 2), numbers),
        )
        module, shape = torch.nn.Sequential(*layers), (2, 6, 6)
    neurons = {
        name: child for name, child in module.named_children() if hasattr(child, "reset_mem")
    }
    return module, neurons, shape


def run(module: Any, neurons: Mapping[str, Any], values: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each layer of neurons sends, [step, *shape]: snnTorch itself."""
    for neuron in neurons.values():
        neuron.reset_mem()
    with torch.no_grad(), one_thread(), recorded(neurons) as kept:
        for step in values:
            module(torch.from_numpy(step[None]))
    return {name: np.stack(steps) for name, steps in kept.items()}


def cases() -> list[Any]:
    return [
        pytest.param(row, form, numbers, id=f"{row}-{form}-{numbers.value}")
        for row in TABLE
        for form in ("dense", "conv")
        for numbers in row.numbers
    ]


@pytest.mark.parametrize(("row", "form", "numbers"), cases())
def test_every_population_sends_the_spikes_that_snntorch_sends(row, form, numbers):
    torch.manual_seed(0)
    module, neurons, shape = network(row, form, numbers)
    set_weights(module, numbers, seed=1)
    values = spikes_in(numbers, shape, seed=2)
    theirs = enliven(module, neurons, lambda steps: run(module, neurons, values[:steps]))
    imported = load(module, sample_shape=shape)
    # A graded spike is one spike, and a factor for those who read it.
    fired = {name: (spikes != 0).astype(np.float64) for name, spikes in theirs.items()}
    exact = numbers is Numbers.DYADIC
    assert_same_spikes(imported.network, values.astype(np.float64), fired, exact=exact)


def test_a_membrane_that_ends_above_its_threshold_fires_once_and_no_more():
    layer = snn.Leaky(beta=1.0, reset_delay=False)
    module = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), layer)
    module[0].weight.data = torch.ones(1, 1)
    values = np.array([2.625, 0.0, 0.0, 0.0, 0.5])
    entry = Values(name="input", values=values[None, :, None])
    trace = simulate(load(module).network, [entry], EVERYTHING)["1"]
    assert trace.payload[0, :, 0].tolist() == [1, 0, 0, 0, 1]
    assert trace.membrane[0, :, 0].tolist() == [1.625, 1.625, 1.625, 1.625, 1.125]
    state, sent, membranes = None, [], []
    for value in values:
        spike, state = layer(torch.tensor([[value]], dtype=torch.float32), state)
        sent.append(spike.item())
        membranes.append(state.item())
    assert (sent, membranes) == ([1, 0, 0, 0, 1], [1.625, 1.625, 1.625, 1.625, 1.125])


def test_graded_spikes_of_channels_reach_the_next_layer_scaled():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv1d(2, 4, 3),
        snn.Leaky(beta=0.5, init_hidden=True),
        snn.GradedSpikes(4, None),
        torch.nn.Conv1d(4, 3, 2),
        snn.Leaky(beta=0.5, init_hidden=True),
    )
    set_weights(module, Numbers.RANDOM, seed=1)
    neurons = {"1": module[1], "4": module[4]}
    values = spikes_in(Numbers.RANDOM, (2, 8), seed=2)
    theirs = enliven(module, neurons, lambda steps: run(module, neurons, values[:steps]))
    network = load(module, sample_shape=(2, 8)).network
    assert_same_spikes(network, values.astype(np.float64), theirs, exact=False)


def said(module: Any) -> str:
    """Return everything that was read: every number, name and option."""
    graph = LayerGraph(inputs={"input": (4,)})
    source = "input"
    for name, layer in module.named_children():
        source = read_layer(graph, name, layer, source)
    with np.printoptions(precision=17, floatmode="fixed"):
        return repr(graph)


@pytest.mark.parametrize(
    "options",
    [
        {"init_hidden": True},
        {"output": True},
        {"surrogate_disable": True},
        {"spike_grad": surrogate.fast_sigmoid(slope=10)},
        {"spike_grad": surrogate.ATan.apply},
        {"spike_grad": surrogate.SSO()},
        {"learn_beta": True, "learn_threshold": True},
    ],
)
def test_options_of_the_training_change_nothing(options):
    plain = torch.nn.Sequential(torch.nn.Linear(4, 4), snn.Leaky(beta=0.9))
    other = torch.nn.Sequential(plain[0], snn.Leaky(beta=0.9, **options))
    assert said(other) == said(plain)


def test_a_run_before_changes_nothing():
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), snn.RLeaky(beta=0.9, linear_features=4))
    before = said(module)
    module(torch.ones(1, 4))
    assert said(module) == before


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_the_record_of_a_pickled_layer_is_read_as_the_layer_is(row, tmp_path):
    row = replace(row, options={**row.options, "surrogate_disable": True})
    numbers = row.numbers[0]
    module = torch.nn.Sequential(torch.nn.Linear(4, 5), row.make((5,), numbers))
    path = tmp_path / "model.pt"
    torch.save(module, path)
    stub = read_torch_file(path.read_bytes(), "model.pt").root
    assert said(stub) == said(module)


def refuse(layer: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load(torch.nn.Sequential(torch.nn.Linear(4, 4), layer))
    return str(caught.value)


def without(**attributes: Any) -> Any:
    """Return a Leaky some attributes of which were set after it was made."""
    layer = snn.Leaky(beta=0.9)
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


def other_recurrence() -> Any:
    layer = snn.RLeaky(beta=0.9, linear_features=4)
    layer.recurrent = torch.nn.Sequential(layer.recurrent)
    return layer


COMPLAINTS = {
    "inhibition": (
        lambda: snn.Leaky(beta=0.9, inhibition=True),
        "error[SNN203]: Leaky with inhibition=True is not read\n"
        "  at: 1\n"
        "  fix: use inhibition=False",
    ),
    "state_quant": (
        lambda: snn.Synaptic(alpha=0.9, beta=0.9, state_quant=lambda state: state),
        "error[SNN203]: Synaptic with state_quant is not read: its states are rounded while it is "
        "trained\n"
        "  at: 1\n"
        "  fix: use state_quant=False: the target has its own state widths",
    ),
    "spike_grad": (
        lambda: snn.Leaky(beta=0.9, spike_grad=lambda x: (x > 0.5).float()),
        "error[SNN203]: Leaky with a spike_grad of your own is not read: it may fire otherwise\n"
        "  at: 1\n"
        "  fix: train with it, then set spike_grad=snntorch.surrogate.heaviside()",
    ),
    "RSynaptic without delay": (
        lambda: snn.RSynaptic(alpha=0.9, beta=0.9, linear_features=4, reset_delay=False),
        "error[SNN203]: RSynaptic with reset_delay=False is not read\n"
        "  at: 1\n"
        "  fix: use reset_delay=True",
    ),
    "Alpha, zero": (
        lambda: snn.Alpha(alpha=0.9, beta=0.8),
        "error[SNN203]: Alpha with reset_mechanism='zero' is not read: a spike changes its "
        "synaptic currents as well\n"
        "  at: 1\n"
        "  fix: use reset_mechanism='none', or Synaptic",
    ),
    "Alpha, subtract": (
        lambda: snn.Alpha(alpha=0.9, beta=0.8, reset_mechanism="subtract"),
        "error[SNN203]: Alpha with reset_mechanism='subtract' is not read: a spike changes its "
        "synaptic currents as well\n"
        "  at: 1\n"
        "  fix: use reset_mechanism='none', or Synaptic",
    ),
    "threshold": (
        lambda: snn.Leaky(beta=0.9, threshold=-0.5),
        "error[SNN207]: a threshold of -0.5: below zero, snnTorch resets neurons that have not "
        "fired\n"
        "  at: 1.threshold\n"
        "  fix: use thresholds from 0 on, or reset_mechanism='none'",
    ),
    "factor": (
        lambda: snn.Leaky(beta=0.9, graded_spikes_factor=0.0, reset_delay=False),
        "error[SNN207]: a graded_spikes_factor of 0 makes the membrane 0 / 0 without reset_delay\n"
        "  at: 1\n"
        "  fix: use reset_delay=True",
    ),
    "another reset": (
        lambda: without(reset_mechanism="zero"),
        "error[SNN203]: the layer was made with reset_mechanism='subtract' and computes it still, "
        "but says 'zero' since\n"
        "  at: 1\n"
        "  fix: make it with reset_mechanism='zero', or set it back",
    ),
    "another recurrence": (
        other_recurrence,
        "error[SNN203]: recurrent connections of class Sequential are not read\n"
        "  at: 1.recurrent\n"
        "  fix: known are Linear, Conv2d, RecurrentOneToOne",
    ),
    "StateLeaky": (
        lambda: snn.StateLeaky(beta=0.9, channels=4),
        "error[SNN203]: StateLeaky: it takes all steps of a sequence at once, and its spikes "
        "reset nothing\n"
        "  at: 1",
    ),
    "DeltaLeaky": (
        lambda: snn.DeltaLeaky(beta=0.9),
        "error[SNN203]: DeltaLeaky: it fires on changes of its membrane, in either direction\n"
        "  at: 1",
    ),
    "SLSTM": (
        lambda: snn.SLSTM(4, 4),
        "error[SNN203]: SLSTM: its gates multiply states with each other\n  at: 1",
    ),
}


@pytest.mark.parametrize("name", COMPLAINTS)
def test_what_is_not_read_is_named_with_a_way_out(name):
    make, text = COMPLAINTS[name]
    assert refuse(make()) == text


@pytest.mark.parametrize(
    "layer",
    [
        lambda: snn.Leaky(beta=0.9, spike_grad=surrogate.heaviside()),
        lambda: snn.Leaky(beta=0.9, threshold=-0.5, reset_mechanism="none"),
        lambda: snn.Leaky(beta=0.9, graded_spikes_factor=0.0, reset_delay=True),
        lambda: snn.Alpha(alpha=0.9, beta=0.8, reset_mechanism="none"),
    ],
)
def test_the_ways_out_work(layer):
    assert load(torch.nn.Sequential(torch.nn.Linear(4, 4), layer())).network.populations


def test_snntorch_itself_cannot_run_what_is_refused_as_such():
    layer = snn.RSynaptic(alpha=0.9, beta=0.9, linear_features=4, reset_delay=False)
    with pytest.raises(TypeError):
        layer(torch.ones(1, 4))


def test_every_class_is_read_or_refused():
    classes = {
        name
        for name, kind in vars(snn).items()
        if isinstance(kind, type) and issubclass(kind, torch.nn.Module)
    }
    assert classes - {"LIF", "SpikingNeuron"} == {*FRONTEND.layers, *FRONTEND.wrong}
