"""sinabs' layers: our network sends, in every step, what theirs send."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from framework_networks import one_thread
from framework_oracle import assert_same_spikes

from snn_deploy.errors import DynamicsError, UnknownNodeError
from snn_deploy.frontends import load
from snn_deploy.frontends.decays import decay_of
from snn_deploy.frontends.layers import Cell, LayerGraph, Rectifier
from snn_deploy.frontends.registry import read_layer
from snn_deploy.ir.neuron import Decode, Fires
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

torch = pytest.importorskip("torch")
sl = pytest.importorskip("sinabs.layers")
sa = pytest.importorskip("sinabs.activation")

pytestmark = pytest.mark.torch

Shape = tuple[int, ...]

STEPS, SHORT = 200, 50

MULTI, SINGLE, THREE = sa.MultiSpike, sa.SingleSpike, sa.MaxSpike(3)
UNBOUND, ONE = sa.MaxSpike(), sa.MaxSpike(1)
HALF, ZERO, LOW, HIGH = sa.MembraneSubtract(0.5), sa.MembraneReset(), -0.25, 0.125
AT_LOW, AT_HIGH = sa.MembraneReset(LOW), sa.MembraneReset(HIGH)
ACTIVE = 0.3
"""Weights are halved until a layer fires in less than this share of its neurons' steps."""

FAST, SLOW = 0.5, 0.875
"""Decays of few bits."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: a class of neurons and its options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    decays: dict[str, float] = field(default_factory=dict)
    """Of trained alphas, by attribute; else time constants in `options`."""

    def __str__(self) -> str:
        words = [self.kind]
        for key, value in {**self.options, **self.decays}.items():
            text = getattr(value, "__name__", str(value))
            words.append(f"{key}={text}")
        return " ".join(words)


def iaf(**options: Any) -> Case:
    return Case("IAF", options)


def lif(**options: Any) -> Case:
    """Return LIF neurons of time constants."""
    return Case("LIF", {"tau_mem": 6.0, **options})


def trained(alpha_mem: float = SLOW, alpha_syn: float | None = None, **options: Any) -> Case:
    """Return LIF neurons of trained decays; the time constants are overwritten."""
    decays = {"alpha_mem": alpha_mem}
    if alpha_syn is not None:
        options["tau_syn"] = 2.0
        decays["alpha_syn"] = alpha_syn
    return Case("LIF", {"tau_mem": 4.0, "train_alphas": True, **options}, decays)


EXACT = [
    iaf(),
    iaf(spike_fn=SINGLE),
    iaf(spike_fn=SINGLE, reset_fn=ZERO),
    iaf(spike_fn=SINGLE, reset_fn=HALF, min_v_mem=-1.0),
    iaf(spike_fn=SINGLE, reset_fn=AT_LOW),
    iaf(spike_fn=SINGLE, reset_fn=AT_LOW, min_v_mem=-0.5),
    iaf(spike_fn=THREE),
    iaf(spike_fn=UNBOUND, min_v_mem=0.0),
    iaf(spike_fn=ONE),
    iaf(min_v_mem=-0.5),
    iaf(reset_fn=HALF, min_v_mem=-0.5),
    iaf(reset_fn=ZERO, min_v_mem=-0.5),
    iaf(reset_fn=AT_HIGH, min_v_mem=-2.0),
    iaf(spike_threshold=torch.tensor(2.0)),
    trained(),
    trained(norm_input=False),
    trained(norm_input=False, spike_fn=SINGLE, reset_fn=ZERO),
    trained(norm_input=False, spike_fn=SINGLE, reset_fn=AT_LOW, min_v_mem=-1.0),
    trained(norm_input=False, reset_fn=AT_HIGH),
    trained(norm_input=False, spike_fn=THREE, min_v_mem=-0.5),
    trained(alpha_syn=FAST),
    trained(alpha_syn=FAST, norm_input=False, spike_fn=SINGLE),
    trained(alpha_syn=FAST, norm_input=False, reset_fn=HALF, min_v_mem=-1.0),
]
"""Arithmetic of few bits: not one spike may differ."""

RANDOM = [
    iaf(),
    iaf(spike_fn=SINGLE, reset_fn=ZERO),
    iaf(spike_fn=SINGLE, reset_fn=AT_LOW, min_v_mem=-0.3),
    iaf(spike_fn=THREE, spike_threshold=torch.tensor(0.7)),
    iaf(tau_syn=3.0, min_v_mem=-0.3),
    lif(),
    lif(norm_input=False),
    lif(spike_fn=SINGLE),
    lif(spike_fn=SINGLE, reset_fn=ZERO, norm_input=False),
    lif(spike_fn=SINGLE, reset_fn=sa.MembraneSubtract(0.3), min_v_mem=-0.7),
    lif(reset_fn=sa.MembraneReset(-0.3), norm_input=False),
    lif(spike_fn=THREE, spike_threshold=torch.tensor(0.3)),
    lif(tau_syn=3.0),
    lif(tau_syn=3.0, norm_input=False, spike_fn=SINGLE, reset_fn=ZERO, min_v_mem=-1.0),
    trained(0.83, norm_input=False),
    trained(0.83, 0.61, min_v_mem=-0.4),
]
"""Any numbers: a spike may differ where float32 cannot tell."""


EXACT_LOOPS = [
    iaf(),
    iaf(spike_fn=SINGLE, reset_fn=AT_LOW, min_v_mem=-0.5),
    iaf(spike_fn=THREE),
    trained(norm_input=False, spike_fn=SINGLE, reset_fn=ZERO),
    trained(alpha_syn=FAST),
]
RANDOM_LOOPS = [iaf(), iaf(tau_syn=3.0, min_v_mem=-0.3), lif(), lif(tau_syn=3.0, spike_fn=SINGLE)]
"""Of neurons whose spikes come back."""


def neurons(case: Case, form: str, **more: Any) -> Any:
    """Return a layer of the class `case.kind + form`."""
    if form == "Squeeze":
        more["batch_size"] = 1
    layer = getattr(sl, case.kind + form)(**case.options, **more)
    for name, decay in case.decays.items():
        getattr(layer, name).data = torch.tensor(decay)
    return layer


def randomised(layer: Any, rng: np.random.Generator, exact: bool) -> Any:
    """Return the layer with random weights and small biases, of few bits if `exact`."""
    for name, parameter in layer.named_parameters():
        shape = tuple(parameter.shape)
        if exact:
            values = (
                rng.integers(-4, 9, shape) / 8.0
                if name == "weight"
                else rng.integers(-2, 3, shape) / 64.0
            )
        else:
            values = rng.normal(0.1, 0.4, shape) if name == "weight" else rng.normal(0, 0.02, shape)
        parameter.data = torch.tensor(values, dtype=torch.float32)
    return layer


def dense(case: Case, rng: np.random.Generator, exact: bool) -> tuple[Any, Shape]:
    return torch.nn.Sequential(
        randomised(torch.nn.Linear(10, 24), rng, exact),
        neurons(case, ""),
        randomised(torch.nn.Linear(24, 16, bias=False), rng, exact),
        neurons(case, ""),
    ), (10,)


def convolutional(case: Case, rng: np.random.Generator, exact: bool) -> tuple[Any, Shape]:
    """Return kernels around a pooling; layers see the steps as samples."""
    return torch.nn.Sequential(
        randomised(torch.nn.Conv2d(2, 4, 3, padding=1), rng, exact),
        neurons(case, "Squeeze"),
        sl.SumPool2d(2),
        randomised(torch.nn.Conv2d(4, 6, 3, stride=2, bias=False), rng, exact),
        neurons(case, "Squeeze"),
    ), (2, 10, 10)


def recurrent(case: Case, rng: np.random.Generator, exact: bool) -> tuple[Any, Shape]:
    def loop(width: int) -> Any:
        back = randomised(torch.nn.Linear(width, width), rng, exact)
        back.weight.data = back.weight.data / 4 - 0.125
        return back

    return torch.nn.Sequential(
        randomised(torch.nn.Linear(10, 24), rng, exact),
        neurons(case, "Recurrent", rec_connect=loop(24)),
        randomised(torch.nn.Linear(24, 16, bias=False), rng, exact),
        neurons(case, "Recurrent", rec_connect=loop(16)),
    ), (10,)


def looped(case: Case, rng: np.random.Generator, exact: bool) -> tuple[Any, Shape]:
    """Return neurons whose recurrent connections are a kernel, within layers that repeat."""
    back = randomised(torch.nn.Conv2d(4, 4, 3, padding=1), rng, exact)
    back.weight.data = back.weight.data / 4 - 0.0625
    return torch.nn.Sequential(
        sl.Repeat(randomised(torch.nn.Conv2d(2, 4, 3, stride=2), rng, exact)),
        neurons(case, "Recurrent", rec_connect=torch.nn.Sequential(back, torch.nn.Identity())),
        sl.FlattenTime(),
        torch.nn.Flatten(),
        sl.UnflattenTime(1),
        randomised(torch.nn.Linear(36, 12), rng, exact),
        neurons(case, ""),
    ), (2, 7, 7)


def given(layer: Any, values: Any) -> Any:
    """Return what a layer gives from a fresh state."""
    if isinstance(layer, sl.StatefulLayer):
        layer.reset_states()
    with torch.no_grad():
        return layer(values)


def tune(module: Any, values: Any) -> None:
    """Scale the weights before each neuron layer by powers of two such that it is active."""
    row: list[Any] = []
    for layer in module.children():
        row.append(layer)
        if not isinstance(layer, sl.StatefulLayer):
            continue
        weighted = [m for part in row[:-1] for m in part.modules() if hasattr(m, "weight")][-1]
        weight = weighted.weight.data.clone()
        for exponent in range(2, -9, -1):
            weighted.weight.data = weight * 2.0**exponent
            sent = values
            for part in row:
                sent = given(part, sent)
            if (sent != 0).double().mean() < ACTIVE:
                break
        values, row = sent, []


def compare(module: Any, shape: Shape, *, exact: bool) -> None:
    """Check that our network sends what sinabs' layers send."""
    x = (np.random.default_rng(1).random((STEPS, *shape)) < 0.3).astype(np.float64)
    squeezed = any(type(m).__name__.endswith("Squeeze") for m in module.modules())
    values = torch.tensor(x if squeezed else x[None], dtype=torch.float32)
    with one_thread():
        tune(module, values[:SHORT] if squeezed else values[:, :SHORT])
        theirs = {}
        for name, layer in module.named_children():
            values = given(layer, values)
            if isinstance(layer, sl.StatefulLayer):
                theirs[name] = values.numpy().reshape(STEPS, *layer.v_mem.shape[1:])
    network = load(module, sample_shape=shape).network
    assert_same_spikes(network, x, theirs, exact=exact)


@pytest.mark.parametrize("case", EXACT, ids=str)
@pytest.mark.parametrize("build", [dense, convolutional])
def test_numbers_of_few_bits_give_the_same_spikes(build, case):
    module, shape = build(case, np.random.default_rng(3), exact=True)
    compare(module, shape, exact=True)


@pytest.mark.parametrize("case", RANDOM, ids=str)
@pytest.mark.parametrize("build", [dense, convolutional])
def test_any_numbers_differ_only_where_a_membrane_is_next_to_its_threshold(build, case):
    module, shape = build(case, np.random.default_rng(4), exact=False)
    compare(module, shape, exact=False)


@pytest.mark.parametrize("case", EXACT_LOOPS, ids=str)
@pytest.mark.parametrize("build", [recurrent, looped])
def test_recurrent_layers_of_few_bits_give_the_same_spikes(build, case):
    module, shape = build(case, np.random.default_rng(5), exact=True)
    compare(module, shape, exact=True)


@pytest.mark.parametrize("case", RANDOM_LOOPS, ids=str)
@pytest.mark.parametrize("build", [recurrent, looped])
def test_recurrent_layers_differ_only_where_a_membrane_is_next_to_its_threshold(build, case):
    module, shape = build(case, np.random.default_rng(6), exact=False)
    compare(module, shape, exact=False)


def test_every_neuron_may_have_parameters_of_its_own():
    rng = np.random.default_rng(7)

    def own(low: float, high: float, *shape: int) -> Any:
        return torch.tensor(rng.uniform(low, high, shape), dtype=torch.float32)

    module = torch.nn.Sequential(
        randomised(torch.nn.Conv2d(2, 4, 3), rng, exact=False),
        sl.LIFSqueeze(
            tau_mem=own(2, 9, 4, 1, 1),
            tau_syn=own(1, 4, 4, 6, 6),
            spike_threshold=own(0.5, 2, 6),
            min_v_mem=own(-2, -1, 4, 6, 6),
            batch_size=1,
        ),
        torch.nn.Flatten(),
        randomised(torch.nn.Linear(144, 12), rng, exact=False),
        sl.LIFSqueeze(tau_mem=own(2, 9, 12), spike_threshold=own(0.5, 2, 1), batch_size=1),
    )
    compare(module, (2, 8, 8), exact=False)


def test_a_module_in_double_precision_keeps_its_parameters():
    rng = np.random.default_rng(8)
    module = torch.nn.Sequential(
        randomised(torch.nn.Linear(6, 5), rng, exact=False),
        sl.LIF(tau_mem=5.0, spike_threshold=torch.tensor(0.7, dtype=torch.float64)),
    ).double()
    population = load(module).network.population("1")
    assert float(population.threshold) == 0.7
    assert float(population.gain) == 1 - float(np.exp(np.float64(-0.2)))


def membranes(module: Any, x: np.ndarray, name: str) -> np.ndarray:
    """Return the membrane of a population of ours, [step, *shape]."""
    network = load(module).network
    trace = simulate(network, [Values(name="input", values=x[None])], EVERYTHING)
    return np.asarray(trace[name].membrane[0])


@pytest.mark.parametrize("options", [{}, {"norm_input": True}, {"min_v_mem": -0.25}], ids=str)
@pytest.mark.parametrize("form", ["ExpLeak", "ExpLeakSqueeze"])
def test_a_leaky_integrator_gives_its_membrane_before_it_is_clipped(form, options):
    squeeze = {"num_timesteps": STEPS} if form == "ExpLeakSqueeze" else {}
    leak = getattr(sl, form)(tau_mem=5.0, **options, **squeeze)
    rng = np.random.default_rng(9)
    module = torch.nn.Sequential(randomised(torch.nn.Linear(8, 6), rng, exact=False), leak)
    x = (rng.random((STEPS, 8)) < 0.3).astype(np.float64)
    values = torch.tensor(x if squeeze else x[None], dtype=torch.float32)
    theirs = given(module, values).numpy().reshape(STEPS, 6)
    ours = membranes(module, x, "1.sent" if "min_v_mem" in options else "1")
    assert np.abs(theirs - ours).max() < 1e-5 * np.abs(theirs).max()
    assert theirs.min() < -0.3
    outputs = load(module).network.outputs
    assert [o.decode for o in outputs] == [Decode.MEMBRANE_END]


@pytest.mark.parametrize("floor", [None, -0.25])
def test_layers_behind_a_leaky_integrator_get_its_membrane(floor):
    rng = np.random.default_rng(10)
    module = torch.nn.Sequential(
        randomised(torch.nn.Linear(8, 6), rng, exact=True),
        sl.ExpLeak(tau_mem=4.0, train_alphas=True, min_v_mem=floor),
        randomised(torch.nn.Linear(6, 10), rng, exact=True),
        sl.IAF(spike_fn=SINGLE),
    )
    module[1].alpha_mem.data = torch.tensor(FAST)
    x = (rng.random((STEPS, 8)) < 0.3).astype(np.float64)
    values = torch.tensor(x[None], dtype=torch.float32)
    module[2].weight.data /= 8
    theirs = given(module, values).numpy()[0]
    assert_same_spikes(load(module).network, x, {"3": theirs}, exact=True)


def test_a_network_made_from_an_ann_is_read_through_its_wrapper():
    from_torch = pytest.importorskip("sinabs.from_torch")
    rng = np.random.default_rng(11)
    ann = torch.nn.Sequential(
        randomised(torch.nn.Conv2d(1, 4, 3), rng, exact=True),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
        randomised(torch.nn.Linear(36, 10), rng, exact=True),
        torch.nn.ReLU(),
    )
    wrapper = from_torch.from_model(ann, input_shape=(1, 8, 8), batch_size=1)
    model = wrapper.spiking_model
    x = (rng.random((STEPS, 1, 8, 8)) < 0.3).astype(np.float64)
    values, theirs = torch.tensor(x, dtype=torch.float32), {}
    tune(model, values)
    for name, layer in model.named_children():
        values = given(layer, values)
        if isinstance(layer, sl.StatefulLayer):
            theirs[f"0.spiking_model.{name}"] = values.numpy()
    assert_same_spikes(load(wrapper, sample_shape=(1, 8, 8)).network, x, theirs, exact=True)


def cell_of(layer: Any) -> Cell:
    """Return what is read from a layer of neurons."""
    graph = LayerGraph(inputs={"input": (4,)})
    read_layer(graph, "layer", layer, "input")
    cell = graph.nodes["layer"].layer
    assert isinstance(cell, Cell)
    return cell


def test_a_rounding_rectifier_is_a_neuron_that_keeps_nothing():
    rng = np.random.default_rng(12)
    module = torch.nn.Sequential(
        randomised(torch.nn.Linear(8, 20), rng, exact=True), sl.NeuromorphicReLU()
    )
    x = (rng.random((STEPS, 8)) < 0.3).astype(np.float64)
    theirs = given(module, torch.tensor(x, dtype=torch.float32)).numpy()
    assert_same_spikes(load(module).network, x, {"1": theirs}, exact=True)


def test_layers_that_are_switched_off_pass_what_they_get():
    graph = LayerGraph(inputs={"input": (4,)})
    assert read_layer(graph, "a", sl.QuantizeLayer(quantize=False), "input") == "input"
    assert read_layer(graph, "b", sl.FlattenTime(), "input") == "input"
    assert read_layer(graph, "c", sl.UnflattenTime(2), "input") == "input"
    assert graph.nodes == {}
    read_layer(graph, "d", sl.NeuromorphicReLU(quantize=False), "input")
    assert graph.nodes["d"].layer == Rectifier()


def test_a_layer_of_unbounded_spikes_sends_at_most_255():
    assert cell_of(sl.IAF()).max_spikes == 255
    assert cell_of(sl.IAF(spike_fn=UNBOUND)).max_spikes == 255
    assert cell_of(sl.IAF(spike_fn=sa.MaxSpike(1000))).max_spikes == 1000
    assert cell_of(sl.IAF(spike_fn=ONE)).fires is Fires.BINARY


def test_a_bound_on_spikes_that_is_ours_is_said_once():
    ours = torch.nn.Sequential(torch.nn.Linear(4, 3), sl.IAF(), torch.nn.Linear(3, 3), sl.IAF())
    assert [str(finding) for finding in load(ours).findings] == [
        "changed    (network): at most 255 spikes a step of one neuron; sinabs has no such bound "
        "here; a chip's messages need one"
    ]
    assert load(torch.nn.Sequential(torch.nn.Linear(4, 3), sl.IAF(spike_fn=THREE))).findings == ()


def test_the_states_that_training_left_are_not_read():
    layer = sl.IAF(shape=(1, 4))
    before = cell_of(layer)
    layer(torch.full((1, 1, 4), 0.25))
    assert layer.v_mem.tolist() == [[0.25] * 4]
    assert str(cell_of(layer)) == str(before)


class Record:
    """What a pickle says of an object: the name of its class, and attributes."""

    type_name = ""

    def __init__(self, type_name: str, **attributes: Any) -> None:
        self.type_name = type_name
        self.__dict__.update(attributes)


def recorded(layer: Any) -> Record:
    """Return a layer of neurons as its pickle says it: no code, arrays in place of tensors."""

    def kept(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.detach().numpy()
        if isinstance(value, type):
            return Record(f"{value.__module__}.{value.__qualname__}")
        if type(value).__module__.startswith("sinabs"):
            kind = type(value)
            return Record(f"{kind.__module__}.{kind.__qualname__}", **vars(value))
        return value

    stored = {**vars(layer), **layer._parameters, **layer._buffers}
    kind = type(layer)
    return Record(
        f"{kind.__module__}.{kind.__qualname__}",
        **{name: kept(value) for name, value in stored.items() if not name.startswith("_")},
    )


@pytest.mark.parametrize("case", [*EXACT, *RANDOM], ids=str)
def test_the_record_of_a_layer_is_read_as_the_layer_itself(case):
    layer = neurons(case, "")
    live, inert = cell_of(layer), cell_of(recorded(layer))
    assert str(inert.reset) == str(live.reset)
    assert str(inert.floor) == str(live.floor)
    assert (inert.fires, inert.max_spikes) == (live.fires, live.max_spikes)
    for name in ("decay", "gain", "threshold", "bias", "initial"):
        ours, theirs = getattr(inert, name), getattr(live, name)
        assert np.allclose(ours, theirs, rtol=0, atol=np.spacing(np.float32(1)))


def test_a_pickled_network_sends_the_same(tmp_path):
    rng = np.random.default_rng(14)
    options = {"spike_fn": THREE, "reset_fn": AT_LOW, "min_v_mem": -1.0, "train_alphas": True}
    module = torch.nn.Sequential(
        sl.Repeat(randomised(torch.nn.Linear(10, 16), rng, exact=True)),
        sl.LIF(tau_mem=4.0, tau_syn=2.0, **options),
        randomised(torch.nn.Linear(16, 12), rng, exact=True),
        sl.IAFRecurrent(rec_connect=randomised(torch.nn.Linear(12, 12), rng, exact=True)),
    )
    module[1].alpha_mem.data, module[1].alpha_syn.data = torch.tensor(SLOW), torch.tensor(FAST)
    module[3].rec_connect.weight.data = module[3].rec_connect.weight.data / 8 - 0.0625
    x = (rng.random((STEPS, 10)) < 0.3).astype(np.float64)
    values, theirs = torch.tensor(x[None], dtype=torch.float32), {}
    tune(module, values)
    torch.save(module, tmp_path / "model.pt")
    for name, layer in module.named_children():
        values = given(layer, values)
        if isinstance(layer, sl.StatefulLayer):
            theirs[name] = values.numpy()[0]
    network = load(tmp_path / "model.pt", sample_shape=(10,)).network
    assert_same_spikes(network, x, theirs, exact=True)


def test_a_live_decay_has_torch_s_bits_and_a_recorded_one_is_the_nearest_number():
    taus = torch.tensor(np.random.default_rng(13).uniform(0.5, 500, 20_000), dtype=torch.float32)
    for step in (1.0, 1e-3):
        live, inert = decay_of(taus, step), decay_of(taus.numpy(), step)
        assert np.array_equal(live, torch.exp(-step / taus).numpy())
        assert np.all(np.abs(live - inert) <= np.spacing(inert))
        assert np.mean(live == inert) > 0.9
        exponent = (np.float32(1) / taus.numpy() * np.float32(-step)).astype(np.float64)
        assert np.array_equal(inert, np.exp(exponent).astype(np.float32))
    assert decay_of(np.zeros(2, np.float32), 1.0).tolist() == [0.0, 0.0]


def refused(layer: Any) -> str:
    with pytest.raises((UnknownNodeError, DynamicsError)) as caught:
        load(torch.nn.Sequential(torch.nn.Linear(4, 3), layer))
    return str(caught.value)


class Step(torch.autograd.Function):
    required_states = ("v_mem",)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            sl.ALIF(tau_mem=5.0, tau_adapt=5.0),
            "error[SNN203]: ALIF: its threshold rises with its own spikes\n  at: 1",
        ),
        (
            sl.SpikingMaxPooling2dLayer(2),
            "error[SNN203]: SpikingMaxPooling2dLayer: it passes the spikes of the input that has "
            "fired most so far\n  at: 1",
        ),
        (
            sl.Img2SpikeLayer((1, 2, 2)),
            "error[SNN203]: Img2SpikeLayer: it draws spikes at random: give the network spikes as "
            "the input\n  at: 1",
        ),
        (
            sl.Merge(),
            "error[SNN203]: Merge: it has two inputs: add them in the forward of a module, a + b"
            "\n  at: 1",
        ),
        (
            sl.Cropping2dLayer(((1, 1), (1, 1))),
            "error[SNN203]: Cropping2dLayer: it drops the borders of its input: give the network "
            "the cropped input\n  at: 1",
        ),
        (
            sl.ChannelShift(1),
            "error[SNN203]: ChannelShift: it puts empty channels before those of its input\n"
            "  at: 1",
        ),
        (
            sl.SumPool2d(2, ceil_mode=True),
            "error[SNN203]: SumPool2d with ceil_mode=True is not read\n  at: 1\n"
            "  fix: use ceil_mode=False",
        ),
        (
            sl.QuantizeLayer(),
            "error[SNN203]: QuantizeLayer with quantize=True is not read\n  at: 1\n"
            "  fix: use quantize=False",
        ),
        (
            sl.NeuromorphicReLU(stochastic_rounding=True),
            "error[SNN203]: NeuromorphicReLU with stochastic_rounding=True is not read\n  at: 1\n"
            "  fix: use stochastic_rounding=False",
        ),
        (
            sl.IAF(spike_fn=Step),
            f"error[SNN203]: the spike function {__name__}.Step is not read\n  at: 1.spike_fn\n"
            "  fix: known are MultiSpike, SingleSpike, MaxSpike",
        ),
        (
            sl.IAF(reset_fn=print),
            "error[SNN203]: the reset function builtins.builtin_function_or_method is not read\n"
            "  at: 1.reset_fn\n  fix: known are MembraneSubtract, MembraneReset",
        ),
        (
            sl.IAF(spike_fn=sa.MaxSpike(2.5)),
            "error[SNN207]: MaxSpike allows 2.5 spikes in a step\n"
            "  at: 1.spike_fn.max_num_spikes_per_bin\n  fix: use a whole number from 1 on",
        ),
        (
            sl.IAF(spike_threshold=torch.tensor([1.0, 0.0, 1.0])),
            "error[SNN207]: a threshold of 0, by which the membrane is divided to count spikes\n"
            "  at: 1.spike_threshold\n  fix: use positive thresholds, or SingleSpike",
        ),
        (
            Record("sinabs.exodus.layers.IAF"),
            "error[SNN203]: a layer of class sinabs.exodus.layers.IAF is not read\n  at: 1\n"
            "  fix: use the IAF of sinabs.layers or sinabs.network",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_not_read_is_named(layer, message):
    if not isinstance(layer, Record):
        assert refused(layer) == message
    with pytest.raises((UnknownNodeError, DynamicsError)) as caught:
        read_layer(LayerGraph(inputs={"input": (3,)}), "1", layer, "input")
    assert str(caught.value) == message
