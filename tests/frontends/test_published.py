"""Networks that others published, with what other simulators recorded of them."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends import Overrides, ResetRule, load
from snn_deploy.ir.network import Arithmetic
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, PAYLOADS, Values

pytestmark = pytest.mark.shared

AT_100_US = Overrides(dt=1e-4)


@pytest.fixture(scope="module")
def paper(shared_data):
    return shared_data / "nir-paper"


def recorded(paper, name):
    """Return (input, membrane, spikes) of one simulator: three columns."""
    return np.loadtxt(paper / f"lif_{name}.csv", delimiter=",").T


def single_neuron(imported, x):
    """Return (membrane, spikes at the output) of the only neuron for the inputs x."""
    (population,) = imported.network.populations
    trace = simulate(imported.network, [Values(name="input", values=x[None, :, None])], EVERYTHING)
    spikes = trace[population.name].payload[0, :, 0]
    late = imported.network.outputs[0].delay
    shifted = np.concatenate([np.zeros(late), spikes[: len(spikes) - late]])
    return trace[population.name].membrane[0, :, 0], shifted


def test_the_recorded_norse_trace_is_reproduced(paper):
    x, membrane, spikes = recorded(paper, "norse")
    imported = load(paper / "lif_norse.nir", dialect="nir", overrides=AT_100_US)
    found, fired = single_neuron(imported, x)
    assert np.abs(found - membrane).max() < 1e-6
    assert np.array_equal(fired, spikes)
    assert spikes.sum() == 4


@pytest.mark.parametrize("simulator", ["exact", "snntorch", "nengo", "spinnaker2"])
def test_four_more_simulators_fire_where_the_canonical_reading_does(paper, simulator):
    """Their membranes are in other units, so only spikes are compared."""
    _, _, spikes = recorded(paper, simulator)
    x, _, _ = recorded(paper, "norse")
    imported = load(paper / "lif_norse.nir", dialect="nir", overrides=AT_100_US)
    assert np.array_equal(single_neuron(imported, x)[1], spikes)


def test_the_recorded_lava_trace_is_one_step_late(paper):
    x, membrane, spikes = recorded(paper, "lava_cpu_float")
    imported = load(paper / "lif_norse.nir", dialect="nir", overrides=AT_100_US)
    found, fired = single_neuron(imported, np.concatenate([[0.0], x[:-1]]))
    assert np.abs(found - membrane).max() < 1e-6
    assert np.array_equal(fired, spikes)


def test_the_recorded_rockpool_trace_is_reproduced(paper):
    x, membrane, spikes = recorded(paper, "rockpool")
    imported = load(paper / "lif_rockpool.nir", dialect="rockpool")
    assert imported.network.dt == 1e-4
    found, fired = single_neuron(imported, x)
    assert np.abs(found - membrane).max() < 1e-6
    assert np.array_equal(fired, spikes)


def test_the_recorded_spyx_trace_is_reproduced(paper):
    """spyx ignores r, so whoever recorded it scaled the weight by dt / tau."""
    x, membrane, spikes = recorded(paper, "spyx")
    imported = load(paper / "lif_norse.nir", dialect="spyx", overrides=AT_100_US)
    found, fired = single_neuron(imported, x * 0.04)
    assert np.abs(found - membrane).max() < 1e-6
    assert np.array_equal(fired, spikes)


def test_the_recorded_sinabs_trace_is_reproduced(paper):
    """Recorded without input normalisation, which is r = 1 / (1 - decay) in NIR's terms."""
    x, membrane, spikes = recorded(paper, "sinabs")
    node = nir.LIF(
        tau=np.full(1, 25.0),
        r=np.full(1, 1 / -np.expm1(-1 / 25)),
        v_leak=np.zeros(1),
        v_threshold=np.full(1, 0.1),
    )
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(input_type=np.array([1])),
            "n": node,
            "output": nir.Output(output_type=np.array([1])),
        },
        edges=[("input", "n"), ("n", "output")],
    )
    found, fired = single_neuron(load(graph, dialect="sinabs"), x)
    assert np.abs(found - membrane).max() < 1e-6
    assert np.array_equal(fired, spikes)


@pytest.fixture(scope="module")
def recorder():
    """Return the script that made the record; it needs sinabs, so only its reader is run here."""
    pytest.importorskip("sinabs")
    path = Path(__file__).parent / "record_sinabs.py"
    spec = importlib.util.spec_from_file_location("record_sinabs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def event_frames(shared_data):
    """Return the real recording in bins of 1 ms: [1, 300, 2, 34, 34], off events first.

    Each event takes five bytes: x, y, polarity in the top bit, and 23 bits of microseconds.
    """
    raw = np.fromfile(shared_data / "events" / "sample_nmnist.bin", np.uint8)
    frames = np.zeros((1, 300, 2, 34, 34))
    for x, y, high, middle, low in raw.reshape(-1, 5).astype(int).tolist():
        step = ((high % 128) * 65536 + middle * 256 + low) // 1000
        if step < 300:
            frames[0, step, high // 128, y, x] += 1
    return frames


@pytest.mark.parametrize("arithmetic", list(Arithmetic))
@pytest.mark.parametrize(("floor", "record"), [(None, "none"), (-1.0, "minus_one")])
def test_the_published_cnn_fires_as_sinabs_does_in_every_layer_and_step(
    paper, event_frames, floor, record, arithmetic
):
    text = (Path(__file__).parent / "sinabs_counts.json").read_text()
    expected = json.loads(text)[record]
    overrides = Overrides(floor=floor)
    imported = load(paper / "cnn_sinabs.nir", dialect="sinabs", overrides=overrides)
    network = replace(imported.network, arithmetic=arithmetic)
    trace = simulate(network, [Values(name="input", values=event_frames)], PAYLOADS)
    for layer in ("1", "3", "6", "10", "12"):
        per_step = trace[layer].payload[0].reshape(300, -1).sum(axis=1)
        assert per_step.tolist() == expected[layer], layer
        assert per_step.sum() > 900
    assert trace["12"].spikes[0].tolist() == expected["answer"]
    assert trace["12"].spikes[0].argmax() == 4


def test_the_record_and_the_test_bin_events_alike(recorder, shared_data, event_frames):
    frames = recorder.recorded_events(shared_data / "events" / "sample_nmnist.bin")
    assert np.array_equal(frames, event_frames[0])


def snntorch_braille(state, constants, x, kind):
    """Return spikes [step, neuron] of both layers: snnTorch's RSynaptic and Synaptic equations.

    I = alpha I + x + V s[t-1] + b; U = beta U + I; s = H(U - 1);
    without delay: U = U - s U to reset to zero, U = U - s to subtract.
    """
    hidden, output = [], []
    s1 = i1 = u1 = np.zeros(state["fc1"].shape[0])
    i2 = u2 = np.zeros(state["fc2"].shape[0])
    for step in x:
        i1 = constants["alpha_r"] * i1 + state["fc1"] @ step + state["b1"]
        i1 = i1 + state["rec"] @ s1 + state["b_rec"]
        u1 = constants["beta_r"] * u1 + i1
        s1 = (u1 - 1 > 0).astype(float)
        u1 = u1 - s1 * (u1 if kind == "zero" else 1)
        i2 = constants["alpha_out"] * i2 + state["fc2"] @ s1 + state["b2"]
        u2 = constants["beta_out"] * u2 + i2
        s2 = (u2 - 1 > 0).astype(float)
        u2 = u2 - s2 * (u2 if kind == "zero" else 1)
        hidden.append(s1)
        output.append(s2)
    return np.array(hidden), np.array(output)


def braille_state(paper, stem):
    """Return the weights of the state dict beside a Braille network, in float64."""
    torch = pytest.importorskip("torch")
    path = paper / f"model_{stem}.pt"
    found = torch.load(path, map_location="cpu", weights_only=True)
    arrays = {key: value.double().numpy() for key, value in found.items()}
    state = {
        "fc1": arrays["fc1.weight"],
        "fc2": arrays["fc2.weight"],
        "rec": arrays["lif1.recurrent.weight"],
    }
    biases = {"b1": "fc1.bias", "b2": "fc2.bias", "b_rec": "lif1.recurrent.bias"}
    return state | {short: arrays.get(long, 0.0) for short, long in biases.items()}


BRAILLE = [
    ("bias_zero", "bias_ref_zero", "zero", ResetRule.VALUE),
    ("noBias_subtract", "noBias_ref_subtract", "subtract", ResetRule.SUBTRACT),
]


@pytest.mark.torch
@pytest.mark.parametrize(("file", "stem", "kind", "reset"), BRAILLE)
@pytest.mark.parametrize("dialect", ["nir", "snntorch"])
def test_the_braille_readers_fire_as_the_equations_of_snntorch(
    paper, file, stem, kind, reset, dialect
):
    """The exporter lost the reset, so `--reset value` or `--reset subtract` must be given."""
    state = braille_state(paper, f"noDelay_{stem}")
    constants = json.loads((paper / f"parameters_noDelay_{stem}.json").read_text())
    imported = load(
        paper / f"braille_noDelay_{file}.nir",
        dialect=dialect,
        overrides=Overrides(dt=1e-4, reset=reset),
    )
    rng = np.random.default_rng(2024)
    inputs = (rng.random((50, 256, 12)) < 0.15).astype(float)
    trace = simulate(imported.network, [Values(name="input", values=inputs)], PAYLOADS)
    differ = 0
    for sample, x in enumerate(inputs):
        hidden, output = snntorch_braille(state, constants, x, kind)
        differ += int((trace["lif1.lif"].payload[sample] != hidden).sum())
        differ += int((trace["lif2"].payload[sample] != output).sum())
    assert trace["lif1.lif"].spikes.sum() > 100
    assert trace["lif2"].spikes.sum() > 100
    assert differ == 0


@pytest.mark.parametrize(("file", "stem", "kind", "reset"), BRAILLE)
def test_the_nested_braille_files_that_nir_cannot_read_are_the_flat_ones(
    paper, file, stem, kind, reset
):
    with pytest.raises(ValueError, match="does not exist in the graph"):
        nir.read(paper / f"braille_noDelay_{file}_subgraph.nir")
    overrides = Overrides(dt=1e-4, reset=reset)
    flat = load(paper / f"braille_noDelay_{file}.nir", dialect="nir", overrides=overrides)
    nested = load(
        paper / f"braille_noDelay_{file}_subgraph.nir", dialect="nir", overrides=overrides
    )
    x = (np.random.default_rng(7).random((2, 100, 12)) < 0.2).astype(float)
    first, second = (
        simulate(each.network, [Values(name="input", values=x)], PAYLOADS)
        for each in (flat, nested)
    )
    assert np.array_equal(first["lif1.lif"].payload, second["lif1.lif1"].payload)
    assert first["lif2"].spikes.sum() > 10
    assert "edges that name 'lif1.lif' are taken to mean it" in [f.amount for f in nested.findings]


def test_every_published_file_is_written_and_read_again_to_the_same_bytes(paper):
    files = sorted(paper.glob("*.nir"))
    assert len(files) == 7
    for path in files:
        first = load(path)
        again = load(first.nir_bytes)
        assert again.nir_bytes == first.nir_bytes
        assert again.findings == ()
        assert str(again.network.projections) == str(first.network.projections)


def test_every_published_file_cut_short_gives_one_error(paper):
    for path in sorted(paper.glob("*.nir")):
        whole = path.read_bytes()
        for share in (0, 1, 10, 50, 90, 99):
            with pytest.raises(ModelError):
                load(whole[: len(whole) * share // 100])
