"""norse's modules: our network fires in the very steps in which theirs does."""

import io
import runpy
from pathlib import Path

import nir
import numpy as np
import pytest

from snn_deploy.errors import DynamicsError, ModelError, OptionError
from snn_deploy.frontends import Origin, Overrides, load
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values

torch = pytest.importorskip("torch")
snn = pytest.importorskip("norse.torch")
reset = pytest.importorskip("norse.torch.functional.reset")

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
]

STEP = 2.0**-10
"""A step whose products with inverse time constants below are exact in float32 [s]."""


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
    firing = imported.annotation.neurons["1"].firing
    assert firing is not None
    assert firing.reset.origin is Origin.MODULE
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
    module = snn.SequentialState(torch.nn.Linear(4, 3), torch.nn.Sequential(torch.nn.ReLU()))
    assert refuse(module) == (
        "error[SNN203]: a layer of type ReLU is not read\n"
        "  at: 1.0\n"
        "  fix: known are Sequential, SequentialState, Linear, Conv1d, Conv2d, AvgPool2d, Flatten, "
        "Dropout, Dropout1d, Dropout2d, Identity, LIFBoxCell, LIFCell, LIBoxCell, LICell, IAFCell"
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
            torch.nn.AvgPool2d(2, count_include_pad=False),
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
        "  fix: sample_shape=(channels, height, width), without batch and time"
    )
    assert load(module, sample_shape=(1, 8, 8)).network.inputs[0].shape == (1, 8, 8)


def test_a_dialect_is_not_for_a_module():
    with pytest.raises(OptionError) as caught:
        load(snn.SequentialState(torch.nn.Linear(4, 3), box()), dialect="snntorch")
    assert str(caught.value) == (
        "error[SNN102]: the dialect snntorch is only for NIR: a module's layers say what they "
        "compute\n"
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
