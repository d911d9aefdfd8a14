"""snnTorch itself is the oracle: every class and option, spike for spike in every population."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from framework_networks import Numbers, Shape, enliven, one_thread, set_weights, spikes_in
from framework_oracle import assert_same_spikes, recorded

from snn_deploy.errors import DynamicsError, ModelError
from snn_deploy.frontends import load
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.registry import read_layer
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

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
