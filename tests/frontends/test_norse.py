"""norse itself is the oracle: every class and option, spike for spike in every population."""

import io
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from framework_networks import Numbers, Shape, enliven, one_thread, set_weights, spikes_in
from framework_oracle import assert_same_spikes, recorded, unchecked

from snn_deploy.errors import DynamicsError, ModelError, OptionError
from snn_deploy.frontends import Choice, Origin, Overrides, load
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.norse import FRONTEND
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

torch = pytest.importorskip("torch")
snn = pytest.importorskip("norse.torch")
reset = pytest.importorskip("norse.torch.functional.reset")
snn_module = pytest.importorskip("norse.torch.module")
cell_class = pytest.importorskip("norse.torch.module.snn").SNNCell

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
]

STEP = 2.0**-10
"""A step whose products with inverse time constants below are exact in float32 [s]."""


STEPS_OF = {Numbers.DYADIC: STEP, Numbers.RANDOM: 1e-3}
"""Length of a step for each kind of numbers [s]."""

RATES = {
    Numbers.DYADIC: {"tau_mem_inv": 256.0, "tau_syn_inv": 512.0},
    Numbers.RANDOM: {"tau_mem_inv": 130.0, "tau_syn_inv": 210.0},
}
"""Inverse time constants for each kind of numbers [1/s]."""

PARAMETERS = {
    "LIFBoxCell": snn.LIFBoxParameters,
    "LIFCell": snn.LIFParameters,
    "LIF": snn.LIFParameters,
    "LIFRecurrentCell": snn.LIFParameters,
    "LIFRecurrent": snn.LIFParameters,
    "IAFCell": snn.IAFParameters,
    "IAF": snn.IAFParameters,
}
SEQUENCES = ("LIF", "LIFRecurrent", "IAF")
"""Modules that take all steps at once, time first."""

Option = Callable[[Shape, Numbers], Any]
"""(shape of the layer, kind of numbers) -> the value of a parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One class and what it is made with."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    per_layer: Mapping[str, Option] = field(default_factory=dict)
    """Parameters that depend on the layer's shape."""

    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = {**self.parameters, **self.options}
        words = [f"{key}={getattr(value, '__name__', value)}" for key, value in given.items()]
        return "-".join((self.kind, *words, *(f"{key}=..." for key in self.per_layer)))

    @property
    def recurrent(self) -> bool:
        """Whether it has input and recurrent weights of its own."""
        return "Recurrent" in self.kind

    def make(self, shape: Shape, numbers: Numbers, reads: int = 0) -> Any:
        """Return the layer of neurons of that shape; a recurrent one reads `reads` values."""
        kind = PARAMETERS[self.kind]
        values = {key: rate for key, rate in RATES[numbers].items() if key in kind._fields}
        values |= self.parameters
        values |= {key: option(shape, numbers) for key, option in self.per_layer.items()}
        tensors = {
            key: torch.tensor(value) if isinstance(value, float) else value
            for key, value in values.items()
        }
        sizes = (reads, shape[0]) if self.recurrent else ()
        dt = STEPS_OF[numbers]
        return getattr(snn, self.kind)(*sizes, p=kind(**tensors), dt=dt, **self.options)


def per_neuron(low: float, high: float, unit: float = 0.125) -> Option:
    """Return a parameter of each neuron between two bounds; dyadic: a multiple of `unit`."""

    def make(shape: Shape, numbers: Numbers) -> Any:
        values = np.random.default_rng(7).uniform(low, high, shape)
        values = np.rint(values / unit) * unit if numbers is Numbers.DYADIC else values
        return torch.tensor(values, dtype=torch.float32)

    return make


RATE = per_neuron(100.0, 600.0, 128.0)
THRESHOLD = per_neuron(0.5, 2.0)
LEVEL = per_neuron(-0.5, 0.25)

TABLE = [
    *(
        Row(kind="LIFBoxCell", parameters={"reset_method": method, **more})
        for method in (reset.reset_value, reset.reset_subtract)
        for more in ({}, {"v_leak": 0.125, "v_reset": -0.25}, {"v_th": 0.5})
    ),
    Row(
        kind="LIFBoxCell",
        per_layer={"tau_mem_inv": RATE, "v_th": THRESHOLD, "v_leak": LEVEL, "v_reset": LEVEL},
    ),
    Row(
        kind="LIFBoxCell",
        parameters={"reset_method": reset.reset_subtract},
        per_layer={"tau_mem_inv": RATE, "v_th": THRESHOLD},
    ),
    *(
        Row(kind=kind, parameters=more)
        for kind in ("LIFCell", "LIF", "LIFRecurrentCell", "LIFRecurrent")
        for more in ({}, {"v_leak": 0.125, "v_reset": -0.25})
    ),
    Row(
        kind="LIFCell",
        per_layer={
            **{"tau_mem_inv": RATE, "tau_syn_inv": RATE},
            **{"v_th": THRESHOLD, "v_leak": LEVEL, "v_reset": LEVEL},
        },
    ),
    Row(kind="LIF", per_layer={"tau_mem_inv": RATE, "tau_syn_inv": RATE, "v_th": THRESHOLD}),
    Row(kind="LIFRecurrentCell", options={"autapses": True}),
    Row(kind="LIFRecurrent", options={"autapses": True}),
    Row(kind="LIFRecurrentCell", per_layer={"tau_mem_inv": RATE, "v_th": THRESHOLD}),
    *(
        Row(kind=kind, parameters=more)
        for kind in ("IAFCell", "IAF")
        for more in ({}, {"v_th": 2.0, "v_reset": 0.25})
    ),
    Row(kind="IAFCell", per_layer={"v_th": THRESHOLD, "v_reset": LEVEL}),
    *(
        Row(kind="LIFCell", parameters={"method": method})
        for method in ("heaviside", "triangle", "tanh", "circ", "heavi_erfc")
    ),
]


def network(row: Row, form: str, numbers: Numbers) -> tuple[Any, Shape]:
    """Return (network, shape of a sample)."""
    if row.recurrent:
        return snn.SequentialState(
            row.make((20,), numbers, reads=12), row.make((10,), numbers, reads=20)
        ), (12,)
    if form == "dense":
        return snn.SequentialState(
            torch.nn.Linear(12, 20),
            row.make((20,), numbers),
            torch.nn.Linear(20, 10),
            row.make((10,), numbers),
        ), (12,)
    layers = (
        torch.nn.Conv2d(2, 4, 3, padding=1),
        row.make((4, 6, 6), numbers),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(4, 6, 2),
        row.make((6, 2, 2), numbers),
    )
    if row.kind in SEQUENCES:
        layers = tuple(
            layer if type(layer).__name__ == row.kind else snn.Lift(layer) for layer in layers
        )
    return snn.SequentialState(*layers), (2, 6, 6)


def run(module: Any, neurons: Mapping[str, Any], values: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each layer of neurons sends, [step, *shape]: norse itself."""
    state = None
    with torch.no_grad(), one_thread(), recorded(neurons) as kept:
        for step in values:
            _, state = module(torch.from_numpy(step[None]), state)
    return {name: np.stack(steps) for name, steps in kept.items()}


def run_at_once(
    module: Any, neurons: Mapping[str, Any], values: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the same of modules that take a whole sequence, time first."""
    kept: dict[str, np.ndarray] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            kept[name] = output[0].numpy()[:, 0]

        return hook

    handles = [neuron.register_forward_hook(keep(name)) for name, neuron in neurons.items()]
    with torch.no_grad(), one_thread():
        module(torch.from_numpy(values[:, None]))
    for handle in handles:
        handle.remove()
    return kept


def compare(module: Any, kinds: tuple[str, ...], numbers: Numbers, shape: Shape) -> None:
    """Check that our network of a module sends what its neurons send, all of them active."""
    set_weights(module, numbers, seed=1)
    neurons = {
        name: child for name, child in module.named_modules() if type(child).__name__ in kinds
    }
    for neuron in neurons.values():
        if not getattr(neuron, "autapses", True):
            neuron.recurrent_weights.data.fill_diagonal_(0.0)
    values = spikes_in(numbers, shape, seed=2)
    exact = numbers is Numbers.DYADIC
    if exact:
        # A decay adds bits in every step: in float32, some state comes to lie at its threshold.
        module.double()
        values = values.astype(np.float64)
    act = run_at_once if kinds[0] in SEQUENCES else run
    theirs = enliven(module, neurons, lambda steps: act(module, neurons, values[:steps]))
    imported = load(module, sample_shape=shape)
    assert_same_spikes(imported.network, values.astype(np.float64), theirs, exact=exact)


def cases() -> list[Any]:
    return [
        pytest.param(row, form, numbers, id=f"{row}-{form}-{numbers.value}")
        for row in TABLE
        for form in (("dense",) if row.recurrent else ("dense", "conv"))
        for numbers in Numbers
    ]


@pytest.mark.parametrize(("row", "form", "numbers"), cases())
def test_every_population_sends_the_spikes_that_norse_sends(row, form, numbers):
    torch.manual_seed(0)
    module, shape = network(row, form, numbers)
    compare(module, (row.kind,), numbers, shape)


@pytest.mark.parametrize("numbers", Numbers)
@pytest.mark.parametrize("last", [-1, 3, -2])
def test_a_row_that_feeds_its_output_back_sends_the_spikes_that_norse_sends(numbers, last):
    torch.manual_seed(0)
    make = Row(kind="LIFBoxCell").make, Row(kind="LIFCell").make
    back = [torch.nn.Linear(10, 14), make[1]((14,), numbers)]
    if last == -2:
        back.append(torch.nn.Linear(14, 5))
    module = snn.SequentialState(
        torch.nn.Linear(12, 14),
        make[0]((14,), numbers),
        snn.RecurrentSequential(
            torch.nn.Linear(14, 10), make[0]((10,), numbers), *back, output_modules=last
        ),
        torch.nn.Linear(14, 8),
        make[1]((8,), numbers),
    )
    compare(module, ("LIFBoxCell", "LIFCell"), numbers, (12,))


def test_a_row_that_feeds_itself_alone_sends_the_spikes_that_norse_sends():
    torch.manual_seed(0)
    row = snn.RecurrentSequential(
        snn.SequentialState(torch.nn.Dropout(), torch.nn.Linear(12, 12)),
        Row(kind="LIFBoxCell").make((12,), Numbers.DYADIC),
    )
    compare(snn.SequentialState(row).eval(), ("LIFBoxCell",), Numbers.DYADIC, (12,))


@pytest.mark.parametrize("numbers", Numbers)
@pytest.mark.parametrize("kind", ["LICell", "LIBoxCell", "LI", "LILinearCell"])
def test_an_integrator_has_the_membrane_that_norse_has(kind, numbers):
    torch.manual_seed(0)
    parameters = snn.LIBoxParameters if kind == "LIBoxCell" else snn.LIParameters
    rates = {key: rate for key, rate in RATES[numbers].items() if key in parameters._fields}
    tensors = {key: torch.tensor(value) for key, value in {**rates, "v_leak": 0.125}.items()}
    sizes = (12, 8) if kind == "LILinearCell" else ()
    layer = getattr(snn, kind)(*sizes, p=parameters(**tensors), dt=STEPS_OF[numbers])
    before = [] if sizes else [torch.nn.Linear(12, 8)]
    module = snn.SequentialState(*before, layer)
    set_weights(module, numbers, seed=1)
    values = spikes_in(numbers, (12,), seed=2)
    name = str(len(before))
    act = run_at_once if kind == "LI" else run
    theirs = act(module, {name: layer}, values)[name]
    imported = load(module)
    entry = Values(name="input", values=values[None].astype(np.float64))
    ours = simulate(imported.network, [entry], EVERYTHING)[name].membrane[0]
    assert np.abs(theirs).max() > 0.2
    assert np.abs(theirs - ours).max() < 1e-6 * np.abs(theirs).max()


def test_plain_numbers_as_parameters_send_the_spikes_that_norse_sends():
    torch.manual_seed(0)

    def cell():
        parameters = snn.LIFBoxParameters(tau_mem_inv=130.0, v_th=0.7, v_reset=-0.1)
        return snn.LIFBoxCell(parameters, dt=1e-3)

    module = snn.SequentialState(torch.nn.Linear(12, 20), cell(), torch.nn.Linear(20, 10), cell())
    compare(module, ("LIFBoxCell",), Numbers.RANDOM, (12,))


def test_whole_inverse_time_constants_are_those_of_real_numbers():
    def network(rate):
        parameters = snn.LIFBoxParameters(tau_mem_inv=rate, v_th=torch.tensor(0.5))
        cell = snn.LIFBoxCell(parameters, dt=STEP)
        return snn.SequentialState(dyadic(torch.nn.Linear(4, 3), np.random.default_rng(1)), cell)

    whole = network(torch.tensor([256, 128, 64]))
    real = network(torch.tensor([256.0, 128.0, 64.0]))
    decays = [load(each).network.population("1").decay for each in (whole, real)]
    assert decays[0].tolist() == decays[1].tolist() == [0.75, 0.875, 0.9375]
    x = np.random.default_rng(0).integers(0, 3, (1, 20, 4)).astype(float)
    for theirs, ours in both(whole, x):
        assert 0.02 < theirs.mean() < 0.9
        assert np.array_equal(theirs, ours.payload)


def test_lifted_cells_are_read_as_their_sequences_are():
    lifted = snn.SequentialState(
        torch.nn.Linear(4, 3), snn.Lift(snn.SequentialState(snn.LIFCell(), snn.IAFCell()))
    )
    torch.nn.init.constant_(lifted[0].weight, 0.5)
    at_once = snn.SequentialState(torch.nn.Linear(4, 3), snn.LIF(), snn.IAF())
    at_once[0].weight, at_once[0].bias = lifted[0].weight, lifted[0].bias
    ours, theirs = load(lifted).network, load(at_once).network
    assert [p.name for p in ours.populations] == ["1.lifted_module.0", "1.lifted_module.1"]
    values = Values(name="input", values=np.full((1, 50, 4), 2.0))
    first, second = (simulate(network, [values], EVERYTHING) for network in (ours, theirs))
    for one, other in zip(first.populations, second.populations, strict=True):
        assert np.array_equal(one.membrane, other.membrane)
        assert np.array_equal(one.payload, other.payload)
    assert second.populations[0].payload.any()


def test_a_convolution_over_time_and_space_is_one_over_space():
    torch.manual_seed(0)
    module = snn.SequentialState(
        snn.LConv2d(2, 4, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), groups=2),
        Row(kind="LIF").make((4, 3, 6), Numbers.DYADIC),
    )
    compare(module, ("LIF",), Numbers.DYADIC, (2, 6, 6))


def box(tau_inverse=256.0, threshold=0.5, method=None, **options):
    """Return a LIFBoxCell with exact numbers: dt / tau is 1/4."""
    parameters = snn.LIFBoxParameters(
        tau_mem_inv=torch.tensor(tau_inverse),
        v_th=torch.tensor(threshold),
        reset_method=method or reset.reset_value,
        **{key: torch.tensor(value) for key, value in options.items()},
    )
    return snn.LIFBoxCell(parameters, dt=STEP)


def lif(threshold=0.5, **options):
    """Return a LIFCell with exact numbers: dt / tau is 1/4, and 1/2 for the current."""
    parameters = snn.LIFParameters(
        tau_syn_inv=torch.tensor(512.0),
        tau_mem_inv=torch.tensor(256.0),
        v_th=torch.tensor(threshold),
        **{key: torch.tensor(value) for key, value in options.items()},
    )
    return snn.LIFCell(parameters, dt=STEP)


def dyadic(layer, rng, unit=8):
    """Return the layer with weights and biases that are multiples of 1 / unit."""
    for parameter in layer.parameters():
        values = rng.integers(-unit // 2, unit, tuple(parameter.shape)) / unit
        parameter.data = torch.tensor(values, dtype=torch.float32)
    return layer


def forward(module, x):
    """Return what each layer gives in each step, [layer][sample, step, ...]: norse itself."""
    module.eval()
    module.return_hidden = True
    state, steps = None, []
    with torch.no_grad():
        for step in range(x.shape[1]):
            given, state = module(torch.tensor(x[:, step], dtype=torch.float32), state)
            steps.append([layer.numpy() for layer in given])
    module.return_hidden = False
    return [np.stack(layer, axis=1) for layer in zip(*steps, strict=True)]


def both(module, x, shape=None):
    """Return (norse's values, our trace) of every neuron layer, by name."""
    theirs = forward(module, x)
    imported = load(module, sample_shape=shape)
    with unchecked():
        trace = simulate(imported.network, [Values(name="input", values=x)], EVERYTHING)
    return [
        (theirs[int(population.name)], trace[population.name])
        for population in imported.network.populations
    ]


@pytest.mark.parametrize("method", [reset.reset_value, reset.reset_subtract])
def test_boxes_of_exact_numbers_fire_in_the_same_steps(method):
    rng = np.random.default_rng(1)
    module = snn.SequentialState(
        dyadic(torch.nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), rng),
        box(method=method, v_leak=0.125),
        torch.nn.AvgPool2d(2),
        torch.nn.Dropout(),
        dyadic(torch.nn.Conv2d(4, 6, (1, 3), padding="same", bias=False), rng),
        box(method=method, v_reset=-0.25),
        torch.nn.Flatten(),
        torch.nn.Identity(),
        dyadic(torch.nn.Linear(6 * 4 * 4, 10), rng),
        box(method=method, threshold=1.0),
    )
    x = (rng.random((4, 40, 2, 8, 8)) < 0.3).astype(float)
    x = np.repeat(np.repeat(x, 2, axis=3), 2, axis=4)
    for theirs, ours in both(module, x, (2, 16, 16)):
        assert 0.02 < theirs.mean() < 0.9
        assert np.array_equal(theirs, ours.payload)


def test_cells_with_a_current_and_without_a_leak_fire_in_the_same_steps():
    rng = np.random.default_rng(2)
    module = snn.SequentialState(
        dyadic(torch.nn.Linear(6, 12), rng),
        lif(v_leak=0.125, v_reset=-0.5),
        dyadic(torch.nn.Linear(12, 8), rng),
        snn.IAFCell(snn.IAFParameters(v_th=torch.tensor(1.5), v_reset=torch.tensor(0.25))),
        dyadic(torch.nn.Linear(8, 5), rng),
        snn.LICell(
            snn.LIParameters(tau_syn_inv=torch.tensor(512.0), tau_mem_inv=torch.tensor(256.0)),
            dt=STEP,
        ),
    )
    x = (rng.random((4, 10, 6)) < 0.3).astype(float)
    pairs = both(module, x)
    for theirs, ours in pairs[:-1]:
        assert 0.02 < theirs.mean() < 0.9
        assert np.array_equal(theirs, ours.payload)
    theirs, ours = pairs[-1]
    assert np.abs(theirs).max() > 0.1
    assert np.abs(theirs - ours.membrane).max() < 1e-5 * np.abs(theirs).max()


def test_a_box_integrator_ends_at_the_same_membrane():
    rng = np.random.default_rng(3)
    module = snn.SequentialState(
        dyadic(torch.nn.Conv1d(3, 2, 3, stride=2, dilation=2), rng),
        snn.LIBoxCell(
            snn.LIBoxParameters(tau_mem_inv=torch.tensor(256.0), v_leak=torch.tensor(0.5)), dt=STEP
        ),
    )
    x = (rng.random((2, 8, 3, 11)) < 0.4).astype(float)
    ((theirs, ours),) = both(module, x, (3, 11))
    assert np.array_equal(theirs, ours.membrane.astype(np.float32))


def test_random_networks_differ_only_where_a_membrane_is_next_to_its_threshold():
    torch.manual_seed(4)
    default = snn.LIFBoxParameters(v_th=torch.tensor(0.1))
    module = snn.SequentialState(
        torch.nn.Linear(20, 40),
        snn.LIFBoxCell(default),
        torch.nn.Linear(40, 30),
        snn.LIFCell(snn.LIFParameters(v_th=torch.tensor(0.05))),
    )
    x = (np.random.default_rng(5).random((8, 200, 20)) < 0.3).astype(float)
    for (theirs, ours), threshold in zip(both(module, x), (0.1, 0.05), strict=True):
        assert theirs.mean() > 0.01
        differ = theirs != ours.payload
        first = differ.argmax(axis=1, keepdims=True)
        near = np.take_along_axis(np.abs(ours.membrane - threshold), first, axis=1)
        assert np.all(near[np.take_along_axis(differ, first, axis=1)] < 1e-5)


def test_reading_a_module_leaves_nothing_to_guess_and_writes_a_file_that_says_it_all():
    module = snn.SequentialState(
        torch.nn.Linear(4, 3), box(method=reset.reset_subtract), torch.nn.Linear(3, 2), lif()
    )
    imported = load(module)
    assert imported.findings == ()
    assert imported.annotation.dt == Choice(value=STEP, origin=Origin.MODULE)
    assert imported.annotation.unit == Choice(value=Unit.SECOND, origin=Origin.MODULE)
    again = load(imported.nir_bytes)
    assert again.findings == ()
    assert again.nir_bytes == imported.nir_bytes
    assert str(again.network) == str(imported.network)
    assert nir.read(io.BytesIO(imported.nir_bytes)).nodes["1"].tau.tolist() == [1 / 256] * 3


def test_how_an_integrator_is_read_is_the_only_guess():
    module = snn.SequentialState(torch.nn.Linear(4, 3), snn.LICell())
    (finding,) = load(module).findings
    assert finding.kind is Kind.GUESSED
    assert finding.amount == "read as membrane-end"
    assert load(module, overrides=Overrides(decode=Decode.MEMBRANE_MAX)).findings == ()


def test_nested_containers_have_dotted_names():
    module = snn.SequentialState(
        torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Identity()), box()
    )
    assert [p.name for p in load(module).network.projections] == ["0.0"]


def refuse(module, shape=None, error=ModelError) -> str:
    with pytest.raises(error) as caught:
        load(module, sample_shape=shape)
    return str(caught.value)


def test_a_layer_that_is_not_known_is_named():
    cell = snn.LIFCell()
    own = cell_class(cell.activation, cell.state_fallback, cell.p)
    module = snn.SequentialState(torch.nn.Linear(4, 3), torch.nn.Sequential(own))
    assert refuse(module) == (
        "error[SNN203]: a layer of class norse.torch.module.snn.SNNCell is not read\n"
        "  at: 1.0\n"
        "  fix: known of norse are LIFBoxCell, LIFCell, LIF, LIFRecurrentCell, LIFRecurrent, "
        "LIBoxCell, LICell, LI, LILinearCell, IAFCell, IAF, LConv2d, RecurrentSequential"
    )


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (
            snn.LSNNCell,
            "LSNNCell: its threshold or current follows its own activity by one more state",
        ),
        (
            snn.LIFAdEx,
            "LIFAdEx: its threshold or current follows its own activity by one more state",
        ),
        (
            snn.LIFExCell,
            "LIFExCell: its leak is not linear: it has an exponential of its membrane",
        ),
        (
            lambda: snn.IzhikevichCell(snn.tonic_spiking),
            "IzhikevichCell: its leak is not linear: it has a square of its membrane",
        ),
        (
            lambda: snn.CobaLIFCell(3, 3),
            "CobaLIFCell: its conductances multiply its membrane",
        ),
        (
            snn.LIFRefracCell,
            "LIFRefracCell: it is silent for some time after each spike",
        ),
        (
            lambda: snn.LIFMCRecurrentCell(3, 3),
            "LIFMCRecurrentCell: its neurons pull at each other's membranes",
        ),
        (
            lambda: snn.LIFCorrelation(3, 3),
            "LIFCorrelation: its weights change while it runs",
        ),
        (
            lambda: snn.PoissonEncoder(10),
            "PoissonEncoder: it makes spikes of values: give the network its spikes as the input",
        ),
    ],
)
def test_neurons_that_ours_cannot_compute_are_refused_with_the_reason(layer, reason):
    module = snn.SequentialState(torch.nn.Linear(4, 3), layer())
    assert refuse(module) == f"error[SNN203]: {reason}\n  at: 1"


def test_every_class_that_is_refused_exists():
    places = (snn, snn_module, *vars(snn_module).values())
    for name in FRONTEND.wrong:
        assert any(hasattr(place, name) for place in places), name


def test_every_class_that_is_read_exists():
    assert all(hasattr(snn, name) for name in (*FRONTEND.layers, *FRONTEND.containers))


def test_a_spike_function_that_is_not_known_is_named():
    parameters = snn.LIFParameters(method="adjoint")
    module = snn.SequentialState(torch.nn.Linear(4, 3), snn.LIFCell(parameters))
    assert refuse(module) == (
        "error[SNN203]: the spike function 'adjoint' is not read\n"
        "  at: 1.p.method\n"
        "  fix: known are super, heaviside, triangle, tanh, circ, heavi_erfc"
    )


def test_a_row_with_several_outputs_is_refused():
    row = snn.RecurrentSequential(torch.nn.Linear(3, 3), box(), output_modules=[0, 1])
    assert refuse(snn.SequentialState(row), (3,)) == (
        "error[SNN203]: RecurrentSequential with output_modules=[0, 1] is not read: norse cannot "
        "add several outputs to one input\n"
        "  at: 0\n"
        "  fix: give one layer, such as output_modules=-1"
    )


def test_a_row_without_layers_is_refused():
    row = snn.RecurrentSequential(torch.nn.Identity())
    module = snn.SequentialState(torch.nn.Linear(3, 3), row, box())
    assert refuse(module) == (
        "error[SNN206]: a RecurrentSequential without any layer feeds itself\n  at: 1"
    )


@pytest.mark.parametrize(
    ("layer", "message", "fix"),
    [
        (
            torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"),
            "Conv2d with padding_mode='circular' is not read",
            "use padding_mode='zeros'",
        ),
        (
            torch.nn.AvgPool2d(2, ceil_mode=True),
            "AvgPool2d with ceil_mode=True is not read",
            "use ceil_mode=False",
        ),
        (
            torch.nn.AvgPool2d(2, padding=1, count_include_pad=False),
            "AvgPool2d with count_include_pad=False is not read",
            "use count_include_pad=True",
        ),
    ],
)
def test_an_option_that_is_not_known_is_named(layer, message, fix):
    text = refuse(snn.SequentialState(layer, box()), (1, 8, 8))
    assert text == f"error[SNN203]: {message}\n  at: 0\n  fix: {fix}"


def test_a_reset_that_is_not_known_is_named():
    def bounce(z, v, reset, th):
        return v

    assert refuse(snn.SequentialState(torch.nn.Linear(4, 3), box(method=bounce))) == (
        "error[SNN203]: the reset method 'bounce' is not read\n"
        "  at: 1.p.reset_method\n"
        "  fix: known are reset_value, reset_subtract"
    )


def test_an_image_needs_its_shape():
    module = snn.SequentialState(torch.nn.Conv2d(1, 1, 3), box())
    assert refuse(module, error=OptionError) == (
        "error[SNN102]: the shape of a sample is needed: the first layer takes inputs of any size\n"
        "  at: sample_shape\n"
        "  fix: --sample-shape CHANNELSxHEIGHTxWIDTH; in Python sample_shape=(channels, height, "
        "width), without batch and time"
    )
    assert load(module, sample_shape=(1, 8, 8)).network.inputs[0].shape == (1, 8, 8)


def test_a_dialect_is_not_for_a_module():
    with pytest.raises(OptionError) as caught:
        load(snn.SequentialState(torch.nn.Linear(4, 3), box()), dialect="snntorch")
    assert str(caught.value) == (
        "error[SNN102]: dialect says nothing about a module: it is for NIR files, which do not say "
        "who wrote them\n"
        "  at: dialect\n"
        "  fix: leave dialect out"
    )


def test_cells_of_two_time_steps_are_refused():
    module = snn.SequentialState(torch.nn.Linear(4, 3), box(), snn.LIFBoxCell(dt=1e-3))
    assert refuse(module, error=DynamicsError) == (
        "error[SNN207]: cells have different time steps: 0.000976562, 0.001 s\n"
        "  at: 2\n"
        "  fix: give all cells the same dt"
    )


def test_a_flatten_of_the_batch_is_refused():
    module = snn.SequentialState(torch.nn.Flatten(0), torch.nn.Linear(4, 3))
    assert refuse(module, (4,)) == (
        "error[SNN204]: Flatten with start_dim=0 flattens the batch as well\n"
        "  at: 0\n"
        "  fix: use start_dim=1"
    )


def test_a_time_constant_below_zero_is_refused():
    module = snn.SequentialState(torch.nn.Linear(4, 3), box(tau_inverse=-1.0))
    assert refuse(module) == (
        "error[SNN207]: an inverse time constant of -1 1/s, but it must be positive\n  at: 1"
    )


def test_the_example_runs_and_its_integers_are_verified(capsys):
    example = Path(__file__).parents[2] / "examples" / "norse_in_memory.py"
    runpy.run_path(str(example), run_name="__main__")
    said = capsys.readouterr().out
    assert "spikes in its last layer, and so do we" in said
    assert "event = reference  bit-exact over" in said
