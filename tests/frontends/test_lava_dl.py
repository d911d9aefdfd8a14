"""lava-dl's files: the numbers that netx gives Lava, every change said, every fault named."""

import contextlib
import math
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net_files import complex_dense, conv, cuba, dense, net_bytes, random_net, resonator, sdnn

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DeployError, ModelError, OptionError, UnsupportedError
from snn_deploy.frontends.lava_dl import NetProgram, read_net, reading
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.kinds import Delta, Resonance, Resonator, Sigma, SigmaDelta
from snn_deploy.ir.maps import dense_matrix
from snn_deploy.ir.netx import netx_keeps
from snn_deploy.ir.neuron import Decode, Fires, State
from snn_deploy.ir.program import Sign
from snn_deploy.ir.sizes import higher
from snn_deploy.ir.timing import Restart
from snn_deploy.ir.trace import EVERYTHING, Trace, Values
from snn_deploy.targets import find_target

LAYERS = list[dict[str, Any]]
SQUARE = np.eye(2) * 64
IMAGE = {"type": "input", "shape": np.array([1, 5, 5])}
TURNS = resonator("RF_PHASE", 2400, 3000, 90)
BOTH = [ReferenceBackend(), EventBackend()]


def read(layers: LAYERS | bytes, /, **options: Any) -> NetProgram:
    chip = find_target(options.pop("target", "loihi2"))
    content = layers if isinstance(layers, bytes) else net_bytes(layers)
    named = {"name": "net", "where": "a.net", "target": chip.name, "arithmetic": chip.arithmetic}
    return read_net(content, **(named | options))


def run(made: NetProgram, values: np.ndarray, backend: Backend = BOTH[0]) -> Trace:
    return backend.run(made.program, (Values(name="input", values=values[None]),), EVERYTHING)


def changes(layers: LAYERS, /, **options: Any) -> list[str]:
    return [str(f) for f in read(layers, **options).findings if f.kind is Kind.CHANGED]


# what netx computes, as plainly as it can be said


def plain_netx(layers: LAYERS, values: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Return u, v, s [step, neuron] per layer with weights; images in the order of torch."""
    given, found = values.reshape(len(values), -1).astype(np.int64), []
    shape = values.shape[1:]
    for layer in layers:
        if layer["type"] in ("input", "flatten"):
            continue
        neuron = layer["neuron"]
        size = math.prod(int(side) for side in layer["shape"])
        weight = np.asarray(layer["weight"]).astype(np.int64)
        weight = unrolled(layer, weight, shape) if layer["type"] == "conv" else weight
        delay = np.asarray(layer.get("delay", 0))
        delay = delay[:, None] if delay.shape == (size,) else delay
        delay = np.broadcast_to(delay, weight.shape)
        back = np.asarray(layer.get("weight_rec", np.zeros((size, size)))).astype(np.int64)
        each = size // int(layer["shape"][0])  # neurons of a channel
        keep_u, keep_v, bias = (
            np.repeat(np.broadcast_to(value, int(layer["shape"][0])), each)
            for value in (
                4096 - np.asarray(neuron["iDecay"]),
                4096 - np.asarray(neuron["vDecay"]),
                np.asarray(layer.get("bias", 0)) << 6,
            )
        )
        u, v, s = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
        record: dict[str, list[np.ndarray]] = {"u": [], "v": [], "s": []}
        for step in range(len(given)):
            when = step - 1 - delay
            sent = np.where(when >= 0, given[when, np.arange(weight.shape[1])], 0)
            a = (weight * sent).sum(axis=1) + back @ s
            u = toward_zero(u, keep_u) + (a << 6)
            v = toward_zero(v, keep_v) + u + bias
            s = (v > neuron["vThMant"] << 6).astype(np.int64)
            v = np.where(s, 0, v)
            for name, state in (("u", u), ("v", v), ("s", s)):
                record[name].append(state)
        found.append({name: np.stack(states) for name, states in record.items()})
        given, shape = found[-1]["s"], tuple(int(side) for side in layer["shape"])
    return found


def toward_zero(x: np.ndarray, multiplier: np.ndarray) -> np.ndarray:
    return np.sign(x) * (np.abs(x) * multiplier >> 12)


def unrolled(layer: dict[str, Any], kernel: np.ndarray, reads: tuple[int, ...]) -> np.ndarray:
    """Return a convolution as a matrix, tap by tap."""
    outs, rows, columns = (int(side) for side in layer["shape"])
    (down, right), (top, left), (dy, dx) = (
        np.broadcast_to(layer[name], 2) for name in ("stride", "padding", "dilation")
    )
    matrix = np.zeros((outs, rows, columns, *reads), np.int64)
    per_group = outs // int(layer["groups"])
    for out, within, ky, kx in np.ndindex(*kernel.shape):
        into = out // per_group * kernel.shape[1] + within
        for row, column in np.ndindex(rows, columns):
            y, x = row * down + ky * dy - top, column * right + kx * dx - left
            if 0 <= y < reads[1] and 0 <= x < reads[2]:
                matrix[out, row, column, into, y, x] += kernel[out, within, ky, kx]
    return matrix.reshape(outs * rows * columns, -1)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_a_random_file_has_the_states_of_the_plain_equations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers, entry = random_net(rng)
    values = (rng.random((25, *entry)) < 0.4).astype(np.int32)
    made, wanted = read(layers), plain_netx(layers, values)
    for backend in BOTH:
        trace = run(made, values, backend)
        for population, states in zip(trace.populations, wanted, strict=True):
            for record, name in (
                (population.current, "u"),
                (population.membrane, "v"),
                (population.payload, "s"),
            ):
                assert record is not None
                np.testing.assert_array_equal(record[0].reshape(25, -1), states[name])


# lava-dl's published network


@pytest.mark.shared
@pytest.mark.parametrize("backend", BOTH, ids=lambda backend: backend.name)
def test_the_recording_is_the_first_layer_step_for_step(shared_data, backend: Backend) -> None:
    """`oxford_out.npy` is [neuron, step] of layer 0, 256 neurons; the second layer has 200.

    Its step t is the program's step t: the one step of delay of the connection is in it.
    """
    folder = shared_data / "lava-dl"
    spikes = np.load(folder / "oxford_in.npy").T.astype(np.int32)
    recorded = np.load(folder / "oxford_out.npy").T
    made = read((folder / "oxford.net").read_bytes())
    trace = run(made, spikes, backend)
    found = trace["dense_0"].payload
    assert found is not None
    assert recorded.sum() == 1826
    np.testing.assert_array_equal(found[0], recorded)
    for offset in (-1, 1):
        assert np.count_nonzero(np.roll(found[0], offset, axis=0) != recorded) > 3000
    assert trace["dense_1"].spikes.sum() == 9565
    assert [p.overflows for p in trace.populations] == [0, 0]
    assert [str(f) for f in made.findings] == [
        "retimed    (network): the output comes 2 steps after the input; each connection takes a "
        "step, as in lava-dl; append so many steps of zeros to an input to see all of its answer"
    ]


@pytest.mark.shared
def test_the_first_layers_alone_can_be_read(shared_data) -> None:
    content = (shared_data / "lava-dl" / "oxford.net").read_bytes()
    made = read(content, layers=1, dt=1e-3)
    assert [p.name for p in made.program.populations] == ["dense_0"]
    assert made.program.outputs[0].population == "dense_0"
    assert made.behind == 1
    assert float(made.program.dt) == 1e-3
    with pytest.raises(OptionError) as caught:
        read(content, layers=3)
    assert str(caught.value) == "error[SNN102]: 3 layers of a file that has 2\n  at: a.net"


# what a file becomes


def test_every_layer_says_what_became_of_it() -> None:
    kernel = np.ones((2, 1, 3, 3)) * 2
    layers: LAYERS = [
        IMAGE,
        conv(kernel, (1, 5, 5), bias=[3, 0]),
        {"type": "flatten", "shape": [18, 1, 1]},
        dense(np.ones((4, 18)), delay=[5, 3, 9, 7], neuron=cuba(type="LOIHI")),
    ]
    made = read(layers)
    told = [(x.kind, x.population, x.shape, x.neurons, x.behind) for x in made.layers]
    assert told == [
        ("input", "", (1, 5, 5), "", 0),
        ("conv", "conv_1", (2, 3, 3), "CUBA", 1),
        ("flatten", "", (18,), "", 1),
        ("dense", "dense_3", (4,), "LOIHI", 5),
    ]
    assert made.behind == 5
    image, flat = made.program.populations
    assert made.program.inputs[0].shape == (1, 5, 5)
    assert [b.value.tolist() for b in image.biases] == [[[[3 << 6]], [[0]]]]
    assert (image.decay, image.current.decay, image.threshold) == (3968, 3072, 80 << 6)
    assert [p.lag for p in made.program.populations] == [0, 0]
    assert flat.biases == ()
    way = made.program.projections[1]
    assert (way.shift, way.sign, way.delay[:, 0].tolist()) == (6, Sign.EXCITATORY, [6, 4, 10, 8])
    assert made.program.outputs[0].decode is Decode.COUNT


def test_a_square_layer_takes_its_delays_before_its_neurons_not_behind_its_inputs() -> None:
    made = read([dense(SQUARE, delay=[1, 5])])
    assert made.program.projections[0].delay.tolist() == [[2, 2], [6, 6]]
    made = read([dense(np.ones((3, 2)), delay=[1, 5])])
    assert made.program.projections[0].delay.tolist() == [2, 6]


def test_a_kernel_is_not_flipped() -> None:
    kernel = np.arange(1, 10).reshape(1, 1, 3, 3) * 2
    made = read([IMAGE | {"shape": [1, 3, 3]}, conv(kernel, (1, 3, 3))])
    matrix = dense_matrix(made.program.projections[0].map)
    assert matrix.tolist() == [kernel.ravel().tolist()]


def test_graded_values_are_multiplied_where_the_input_range_allows_them() -> None:
    made = read([dense(SQUARE)], input_range=(-3, 3))
    trace = run(made, np.array([[3, -3], [0, 0]], np.int32))
    assert trace["dense_0"].current[0, 1].tolist() == [3 * 64 * 64, -3 * 64 * 64]


def test_a_layer_whose_threshold_cannot_be_reached_is_a_readout() -> None:
    for threshold in ((1 << 18) - 1, 1 << 17):
        made = read([dense(SQUARE, neuron=cuba(vThMant=threshold))])
        assert made.program.populations[0].fires is Fires.NEVER
        assert made.program.outputs[0].decode is Decode.MEMBRANE_END
    assert read([dense(SQUARE)], decode=Decode.FIRST_SPIKE).program.outputs[0].decode is (
        Decode.FIRST_SPIKE
    )
    fires = read([dense(SQUARE, neuron=cuba(vThMant=(1 << 17) - 1))]).program.populations[0].fires
    assert fires is Fires.BINARY


def test_an_image_without_an_input_layer_takes_its_shape_from_the_caller() -> None:
    layers = [conv(np.ones((2, 1, 3, 3)), (1, 5, 5))]
    assert read(layers, input_shape=(1, 5, 5)).program.inputs[0].shape == (1, 5, 5)
    with pytest.raises(OptionError) as caught:
        read([IMAGE, *layers], input_shape=(1, 4, 4))
    assert str(caught.value) == (
        "error[SNN102]: a sample shape of (1, 4, 4) contradicts the file, which says (1, 5, 5)\n"
        "  at: a.net/layer/0/shape\n"
        "  fix: leave --sample-shape out"
    )


def test_an_image_may_go_into_a_dense_layer_that_comes_first() -> None:
    made = read([IMAGE, dense(np.ones((2, 25)))])
    assert made.program.inputs[0].shape == (1, 5, 5)


def test_finer_decays_compute_the_same() -> None:
    fine = Arithmetic(
        current=Register(bits=24, overflow=Overflow.WRAP_ONCE),
        membrane=Register(bits=24, overflow=Overflow.SATURATE),
        decay_bits=16,
    )
    rng = np.random.default_rng(3)
    layers, entry = random_net(rng)
    values = (rng.random((30, *entry)) < 0.3).astype(np.int32)
    coarse = run(read(layers), values)
    for one, other in zip(
        coarse.populations, run(read(layers, arithmetic=fine), values).populations, strict=True
    ):
        np.testing.assert_array_equal(one.membrane, other.membrane)
    rough = Arithmetic(current=fine.current, membrane=fine.membrane, decay_bits=8)
    with pytest.raises(UnsupportedError) as caught:
        read(layers, arithmetic=rough)
    assert str(caught.value) == (
        "error[SNN301]: decays of 12 fraction bits, but loihi2 has 8\n"
        "  at: a.net\n"
        "  fix: --target loihi"
    )


def test_an_empty_input_range_is_refused() -> None:
    with pytest.raises(OptionError) as caught:
        read([dense(SQUARE)], input_range=(1, 0))
    assert str(caught.value) == "error[SNN102]: an input range of 1..0 holds nothing"


def test_a_pooling_that_fills_its_image_sums_each_window() -> None:
    pooling = {
        "type": "pool",
        "shape": [2, 2, 1],
        "weight": np.arange(2, 10, 2).reshape(1, 1, 2, 2, 1),
        **{"kernelSize": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1]},
        "neuron": cuba(iDecay=4096, vThMant=1 << 17),
    }
    layers = [IMAGE | {"shape": [2, 4, 2]}, pooling]
    values = np.random.default_rng(0).integers(0, 2, (6, 2, 4, 2)).astype(np.int32)
    current = run(read(layers), values)["pool_1"].current
    windows = values.reshape(6, 2, 2, 2, 1, 2)
    sums = np.einsum("tcyhxw,hw->tcyx", windows, np.array([[2, 4], [6, 8]])) << 6
    np.testing.assert_array_equal(current[0, 1:], sums[:-1])
    assert changes(layers) == [
        "changed    pool_1: lava-dl's netx cannot run it; it is computed as slayer trains it; a "
        "pooling is the weighted sum of each window, then the layer's neurons"
    ]


def test_resonators_take_their_decays_from_the_file() -> None:
    layers = [
        complex_dense(SQUARE, 2 * SQUARE, TURNS),
        complex_dense(SQUARE, SQUARE, TURNS | {"type": "RF_IZHIKEVICH"}),
    ]
    made = read(layers)
    phase, level = (p.kind for p in made.program.populations)
    assert isinstance(phase, Resonator)
    assert isinstance(level, Resonator)
    assert (phase.sine, phase.cosine, phase.threshold) == (2400, 3000, 90 << 6)
    assert (phase.fires_at, level.fires_at) == (Resonance.CROSSING, Resonance.LEVEL)
    ways = [(p.name, p.into, p.shift) for p in made.program.projections[:2]]
    assert ways == [("dense_0.weight", None, 6), ("dense_0.weight/imag", State.IMAGINARY, 6)]
    assert made.layers[0].neurons == "RF_PHASE"


def test_resonators_with_decays_of_their_own_keep_them() -> None:
    turns = TURNS | {"sinDecay": np.array([2400, 100]), "cosDecay": np.array([3000, 4000])}
    layers = [complex_dense(SQUARE, SQUARE, turns)]
    (population,) = read(layers).program.populations
    assert isinstance(population.kind, Resonator)
    assert population.kind.sine.tolist() == [2400, 100]
    assert population.kind.cosine.tolist() == [3000, 4000]
    assert changes(layers)[0] == (
        "changed    dense_0: its neurons have decays of their own; Lava's resonators, and netx, "
        "take one for all"
    )


def test_resonators_are_not_reset_and_that_is_said() -> None:
    layers = [complex_dense(SQUARE, SQUARE, TURNS)]
    (population,) = read(layers, reset_interval=5).program.populations
    assert population.restart is None
    assert changes(layers, reset_interval=5)[-1] == (
        "changed    dense_0: its neurons are not reset; lava-dl's netx resets integrators only, "
        "and passes over all others"
    )


def test_zeros_are_no_bias_and_a_missing_refractory_period_is_none() -> None:
    layer = dense(SQUARE, bias=[0, 0], neuron=without(cuba(), "refDelay"))
    assert changes([layer]) == []
    assert read([layer]).program.populations[0].biases == ()


def test_weights_down_to_the_smallest_even_one_are_stored_as_mixed() -> None:
    made = read([dense([[-256, -2], [0, -4]])])
    (way,) = made.program.projections
    assert way.sign is Sign.MIXED
    assert (dense_matrix(way.map) << way.shift >> 6).tolist() == [[-256, -2], [0, -4]]
    with pytest.raises(DeployError) as caught:
        read([dense([[-256, -1], [0, -4]])])
    assert str(caught.value) == (
        "error[SNN302]: weights of -256..0; the chip stores 0..255, -255..0, or -256..254 in even "
        "numbers\n"
        "  at: a.net/layer/0/weight\n"
        "  fix: export with slayer's quantization, which keeps weights within -256..254"
    )


def test_more_layers_than_a_file_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_LAYERS", 1)
    with pytest.raises(DeployError) as caught:
        read([dense(SQUARE), dense(SQUARE)])
    assert str(caught.value) == (
        f"error[SNN202]: 2 layers; at most 1 are read\n  at: a.net/layer\n  fix: {higher(2, 1)}"
    )


def test_sigma_delta_neurons_have_twelve_fraction_bits() -> None:
    layers = [
        IMAGE | {"neuron": sdnn(vThMant=2)},
        {"type": "flatten", "shape": [25, 1, 1]},
        dense(np.ones((2, 25)), neuron=sdnn(), bias=[1, -2]),
        dense(SQUARE, neuron=sdnn(sigma_output=True)),
    ]
    made = read(layers, input_range=(-9, 9))
    delta, both, sigma = (p.kind for p in made.program.populations)
    assert isinstance(delta, Delta)
    assert isinstance(both, SigmaDelta)
    assert isinstance(sigma, Sigma)
    assert (delta.threshold, delta.payload_shift) == (2 << 12, 6)
    assert (both.threshold, both.bias.tolist()) == (3 << 12, [1 << 12, -2 << 12])
    assert [p.shift for p in made.program.projections] == [12, 0, 0]
    assert [p.lag for p in made.program.populations] == [1, 1, 1]
    assert made.program.outputs[0].decode is Decode.COUNT
    with pytest.raises(OptionError) as caught:
        read(layers, decode=Decode.MEMBRANE_END)
    assert str(caught.value) == (
        "error[SNN102]: its last neurons have no membrane to read\n"
        "  at: dense_3\n"
        "  fix: decode = count"
    )


def test_integrators_restart_one_layer_after_the_other() -> None:
    made = read([dense(SQUARE), dense(SQUARE)], reset_interval=5, reset_offset=4)
    restarts = [p.restart for p in made.program.populations]
    assert restarts == [Restart(interval=5, offset=4), Restart(interval=5, offset=0)]
    behind = [IMAGE | {"neuron": cuba()}, {"type": "flatten", "shape": [25, 1, 1]}]
    made = read([*behind, dense(np.ones((2, 25)))], reset_interval=50)
    assert [p.restart.offset for p in made.program.populations] == [1, 2]
    with pytest.raises(OptionError) as caught:
        read([dense(SQUARE)], reset_interval=0)
    assert str(caught.value) == (
        "error[SNN102]: a reset every 0 steps\n  fix: an interval of 1 or more"
    )


# what is said


SAID = {
    "a refractory period": (
        [dense(SQUARE, neuron=cuba(refDelay=3))],
        "changed    dense_0: the refractory period of 3 steps is not kept; lava-dl's netx passes "
        "over refDelay, and Lava's LIF has no such period",
    ),
    "a weight exponent": (
        [dense(SQUARE, neuron=cuba(type="LOIHI", wgtExp=-1))],
        "changed    dense_0: the weight exponent wgtExp = -1 is not applied; lava-dl's netx passes "
        "over it",
    ),
    "another activation": (
        [dense(SQUARE, neuron=sdnn(activation="tanh"))],
        "changed    dense_0: its activation 'tanh' is taken as a ReLU; lava-dl's netx has no other",
    ),
    "an unknown field": (
        [dense(SQUARE, wieght=1, delay_rec=2)],
        "changed    dense_0: not read: delay_rec, wieght; lava-dl's netx knows no such field and "
        "passes over it",
    ),
    "weights that are no whole numbers": (
        [dense([[1.5, -2.5], [3, 4]])],
        "changed    dense_0: 2 of 4 values of weight are cut to whole numbers, toward zero; "
        "lava-dl's netx casts them so; files that slayer exports hold whole numbers",
    ),
    "weights that are too large": (
        [dense([[300, -300], [-256, 254]])],
        "changed    dense_0: 2 of 4 values of weight are cut to -256..254; the chip stores no "
        "larger ones; lava-dl's netx cuts them too",
    ),
    "delays that are too long": (
        [dense(SQUARE, delay=[63, 62])],
        "changed    dense_0: 1 of 2 delays are cut to 62 steps; the longest is 63; the chip has "
        "no longer ones; lava-dl's netx cuts them too",
    ),
    "delays of a convolution": (
        [IMAGE, conv(np.ones((2, 1, 3, 3)), (1, 5, 5), delay=[0, 4])],
        "changed    conv_1: its delays of up to 4 steps are not kept; lava-dl's netx passes over "
        "the delays of convolutions",
    ),
    "no neurons": (
        [{key: value for key, value in dense(SQUARE).items() if key != "neuron"}],
        "changed    dense_0: its neurons never fire; their current adds up what comes and never "
        "decays, and the membrane is the current; the file gives the layer no neuron, and netx "
        "then takes this one",
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_what_netx_does_in_silence_is_said(what: str) -> None:
    layers, finding = SAID[what]
    assert changes(layers) == [finding]


def test_what_netx_does_to_resonators_is_said() -> None:
    assert changes([complex_dense(SQUARE, 2 * SQUARE, TURNS) | {"bias": [1, 2]}]) == [
        "changed    dense_0: its bias is not kept; netx passes over them in complex layers",
        "changed    dense_0: sinDecay and cosDecay are used as they stand; netx takes them apart "
        "into period and damping, and cuts what it puts together again: some become 1 smaller in "
        "size, which ones depends on its numpy",
    ]


def test_nothing_is_said_of_a_plain_file() -> None:
    assert changes([dense(SQUARE, inFeatures=2, outFeatures=2)]) == []


def test_another_chips_registers_are_said() -> None:
    assert changes([dense(SQUARE)], target="cpu") == [
        "changed    (network): the registers of cpu are not those of Lava; what overflows in Lava "
        "gives other numbers here; --target loihi has the same registers"
    ]


def test_neurons_of_an_input_layer_run_one_step_behind_netx() -> None:
    layers = [IMAGE | {"neuron": cuba(), "weight": [[5.0]]}, dense(np.ones((2, 25)))]
    with pytest.raises(ModelError, match="put a flatten layer in between"):
        read(layers)
    layers.insert(1, {"type": "flatten", "shape": [25, 1, 1]})
    made = read(layers, input_range=(-9, 9))
    assert [str(f) for f in made.findings[:3]] == [
        "changed    input_0: its neurons have no current: the input goes into their membrane; "
        "netx writes the input into their bias, which passes the current by",
        "changed    input_0: its transform 5 * x + 0 is not part of the program; lava-dl's netx "
        "leaves it to the caller too: give transformed values, and their range",
        "retimed    (network): everything is 1 step later than in lava-dl; netx writes the input "
        "into the bias of an input layer's neurons; here they have a connection, which takes a "
        "step",
    ]
    assert [p.lag for p in made.program.populations] == [1, 1]
    trace = run(made, np.full((3, 1, 5, 5), -9, np.int32))
    assert trace["input_0"].membrane[0, :3, 0, 0, 0].tolist() == [0, -576, -1134]


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        ([[[2, -2]]], True),
        ([[[253, -1]]], True),  # odd, of both signs: Lava's simulator keeps them
        ([[[0, 0]]], False),  # netx divides by 0
        ([[[-64, -2]]], False),  # shifted to -256, stored as -255
        ([[[-63, -2]]], True),
        ([[[-255, 0]]], False),  # cut by a negative number of bits
        ([[[-254, 0]]], True),
        ([[[-2, 4]], [[-128]]], False),
        ([[[-2, 4]], [[-126]]], True),
        ([[[255]], [[-2]]], False),
    ],
)
def test_what_netx_destroys_is_noted(parts: list[list[list[int]]], kept: bool) -> None:
    assert netx_keeps(tuple(np.array(part) for part in parts)) is kept
    if len(parts) == 1:
        (layer,) = read([dense(parts[0])]).layers
        assert layer.notes == (() if kept else (layer.notes[0],))
        assert kept or layer.notes[0].startswith("lava-dl's netx computes with other weights")


# what is refused


def pool(**changed: Any) -> dict[str, Any]:
    usual = {"type": "pool", "shape": [1, 1, 1], "weight": np.ones((1, 1, 5, 5)), "stride": 5}
    return {**usual, "padding": 0, "dilation": 1, "neuron": cuba(), **changed}


def image(**changed: Any) -> dict[str, Any]:
    return {**conv(np.ones((2, 1, 3, 3)) * 2, (1, 5, 5)), **changed}


def without(layer: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in layer.items() if key != name}


REFUSED: dict[str, tuple[LAYERS, str]] = {
    "a layer type with a typo": (
        [dense(SQUARE, type="dence")],
        "error[SNN203]: layer type 'dence' is none of lava-dl's\n"
        "  at: a.net/layer/0/type\n"
        "  fix: is 'dense' meant?",
    ),
    "a foreign layer type": (
        [dense(SQUARE, type="attention")],
        "error[SNN203]: layer type 'attention' is none of lava-dl's\n"
        "  at: a.net/layer/0/type\n"
        "  fix: known are input, flatten, dense, dense_rec, conv, pool",
    ),
    "a layer that nothing runs": (
        [dense(SQUARE), dense(SQUARE, type="convT")],
        "error[SNN203]: layer type convT is a transposed convolution; neither netx nor a "
        "program runs it\n"
        "  at: a.net/layer/1/type\n"
        "  fix: read_net(..., layers=1) reads those before it",
    ),
    "no layer type": (
        [without(dense(SQUARE), "type")],
        "error[SNN202]: it lacks 'type'\n  at: a.net/layer/0",
    ),
    "adaptive neurons": (
        [dense(SQUARE, neuron=cuba(type="ALIF"))],
        "error[SNN203]: ALIF neurons adapt: netx cannot load ALIF, and takes ADRF for resonators "
        "that do not\n"
        "  at: a.net/layer/0/neuron/type\n"
        "  fix: train the layer with CUBA neurons (slayer.block.cuba)",
    ),
    "resonators with real weights": (
        [dense(SQUARE, neuron=TURNS)],
        "error[SNN203]: resonators with real weights: netx joins them by complex ones only\n"
        "  at: a.net/layer/0/neuron/type\n"
        "  fix: train the layer with slayer.block.rf or rf_iz",
    ),
    "complex weights of other shapes": (
        [complex_dense(SQUARE, np.ones((2, 3)), TURNS)],
        "error[SNN204]: real weights of shape (2, 2), imaginary ones of (2, 3)\n"
        "  at: a.net/layer/0/weight",
    ),
    "complex weights of a recurrent layer": (
        [complex_dense(SQUARE, SQUARE, TURNS) | {"type": "dense_rec", "weight_rec": SQUARE}],
        "error[SNN203]: complex weights of a dense_rec layer; netx has them in dense ones only\n"
        "  at: a.net/layer/0/weight\n"
        "  fix: train the layer with CUBA neurons (slayer.block.cuba)",
    ),
    "resonators in an input layer": (
        [IMAGE | {"neuron": TURNS}],
        "error[SNN203]: resonators in an input layer\n  at: a.net/layer/0/neuron/type",
    ),
    "a resonator that grows": (
        [complex_dense(SQUARE, SQUARE, TURNS | {"sinDecay": 3000, "cosDecay": 3000})],
        "error[SNN207]: a resonator that grows: sinDecay and cosDecay lie beyond a circle of 4096\n"
        "  at: a.net/layer/0/neuron",
    ),
    "a decay of a resonator beyond one": (
        [complex_dense(SQUARE, SQUARE, TURNS | {"sinDecay": -5000})],
        "error[SNN207]: a decay of -5000; its size is at most 4096\n"
        "  at: a.net/layer/0/neuron/sinDecay",
    ),
    "two thresholds of resonators": (
        [complex_dense(SQUARE, SQUARE, TURNS | {"vThMant": [1, 2]})],
        "error[SNN204]: 2 thresholds; such a layer has one\n  at: a.net/layer/0/neuron/vThMant",
    ),
    "a negative threshold of sigma-delta neurons": (
        [dense(SQUARE, neuron=sdnn(vThMant=-1))],
        "error[SNN207]: a threshold of -1; it is 0 or more\n  at: a.net/layer/0/neuron/vThMant",
    ),
    "a threshold of sigma-delta neurons beyond 32 bits": (
        [dense(SQUARE, neuron=sdnn(vThMant=1 << 20))],
        "error[SNN302]: a threshold of 1048576; sigma-delta neurons in Lava have at most 524287\n"
        "  at: a.net/layer/0/neuron/vThMant",
    ),
    "message bits of sigma-delta neurons": (
        [dense(SQUARE, neuron=sdnn(messageBits=16))],
        "error[SNN203]: message bits of its own, with which netx fails to load the file\n"
        "  at: a.net/layer/0/neuron/messageBits\n"
        "  fix: write the file without the field: netx then takes 16 bits",
    ),
    "a bias of sigma neurons": (
        [dense(SQUARE, neuron=sdnn(sigma_output=True), bias=[1, 2])],
        "error[SNN203]: a bias of an output layer of sigma neurons, which netx cannot load\n"
        "  at: a.net/layer/0/bias\n"
        "  fix: train the layer without a bias",
    ),
    "recurrent sigma-delta neurons": (
        [dense(SQUARE, type="dense_rec", weight_rec=SQUARE, neuron=sdnn())],
        "error[SNN203]: a recurrent layer of sigma-delta neurons, which slayer does not have\n"
        "  at: a.net/layer/0",
    ),
    "a neuron type with a typo": (
        [dense(SQUARE, neuron=cuba(type="CUBBA"))],
        "error[SNN203]: neuron type 'CUBBA' is none of lava-dl's that we read\n"
        "  at: a.net/layer/0/neuron/type\n"
        "  fix: is 'CUBA' meant?",
    ),
    "a foreign neuron type": (
        [dense(SQUARE, neuron=cuba(type="Izhikevich"))],
        "error[SNN203]: neuron type 'Izhikevich' is none of lava-dl's that we read\n"
        "  at: a.net/layer/0/neuron/type\n"
        "  fix: known are CUBA, LOIHI, SDNN, RF_PHASE, RF_IZHIKEVICH",
    ),
    "graded spikes": (
        [dense(SQUARE, neuron=cuba(gradedSpike=True))],
        "error[SNN203]: its spikes are graded, and these neurons of programs send 0 or 1\n"
        "  at: a.net/layer/0/neuron\n"
        "  fix: train the layer without graded spikes",
    ),
    "message bits": (
        [dense(SQUARE, neuron=cuba(messageBits=8))],
        "error[SNN203]: its spikes are graded, and these neurons of programs send 0 or 1\n"
        "  at: a.net/layer/0/neuron\n"
        "  fix: train the layer without graded spikes",
    ),
    "complex weights": (
        [without(dense(SQUARE), "weight") | {"weight": {"real": SQUARE}}],
        "error[SNN202]: it lacks 'weight/imag'\n  at: a.net/layer/0",
    ),
    "complex weights into integrators": (
        [complex_dense(SQUARE, SQUARE, cuba())],
        "error[SNN203]: complex weights into CUBA neurons; only resonators take them\n"
        "  at: a.net/layer/0/weight\n"
        "  fix: train the layer with slayer.block.rf or rf_iz",
    ),
    "no weights": (
        [without(dense(SQUARE), "weight")],
        "error[SNN202]: it lacks 'weight'\n  at: a.net/layer/0",
    ),
    "no decay": (
        [dense(SQUARE, neuron=without(cuba(), "vDecay"))],
        "error[SNN202]: it lacks 'vDecay'\n  at: a.net/layer/0/neuron",
    ),
    "a decay above one": (
        [dense(SQUARE, neuron=cuba(iDecay=4097))],
        "error[SNN207]: a decay of 4097; 0 keeps all, and 4096 nothing\n"
        "  at: a.net/layer/0/neuron/iDecay",
    ),
    "a decay as a fraction": (
        [dense(SQUARE, neuron=cuba(iDecay=0.25))],
        "error[SNN202]: 0.25 where whole numbers belong\n  at: a.net/layer/0/neuron/iDecay",
    ),
    "a negative threshold": (
        [dense(SQUARE, neuron=cuba(vThMant=-1))],
        "error[SNN207]: a threshold of -1; it is 0 or more\n  at: a.net/layer/0/neuron/vThMant",
    ),
    "parameters for other neurons": (
        [dense(SQUARE, neuron=cuba(iDecay=[1, 2, 3]))],
        "error[SNN204]: 3 values; a layer of shape (2,) has 1 or 2\n"
        "  at: a.net/layer/0/neuron/iDecay",
    ),
    "NaN": (
        [dense([[np.nan, 1], [1, 1]])],
        "error[SNN205]: 1 of 4 values are NaN or infinite\n"
        "  at: a.net/layer/0/weight\n"
        "  fix: train again, or repair the file: no chip stores NaN",
    ),
    "a number beyond 32 bits": (
        [dense([[1e12, 1], [1, 1]])],
        "error[SNN302]: values of 1..1e+12; at most 2147483647 in size are stored\n"
        "  at: a.net/layer/0/weight",
    ),
    "a weight of one sign that is too large": (
        [dense([[256, 1], [1, 1]])],
        "error[SNN302]: weights of 1..256; the chip stores 0..255, -255..0, or -256..254 in "
        "even numbers\n"
        "  at: a.net/layer/0/weight\n"
        "  fix: export with slayer's quantization, which keeps weights within -256..254",
    ),
    "a shape of other weights": (
        [dense(SQUARE, shape=[3])],
        "error[SNN204]: weights of shape (2, 2) for 3 neurons; they are [neuron, input]\n"
        "  at: a.net/layer/0/weight",
    ),
    "an empty shape": (
        [dense(SQUARE, shape=[0])],
        "error[SNN204]: [0] is no shape of a layer\n  at: a.net/layer/0/shape",
    ),
    "an enormous shape": (
        [IMAGE | {"shape": [2**20, 2**20]}],
        "error[SNN204]: a layer of 1099511627776 neurons; at most 16777216 are read\n"
        "  at: a.net/layer/0/shape\n"
        "  fix: SNN_DEPLOY_LIMITS=1024 is the most that limits are raised by: make it smaller",
    ),
    "weights of three axes": (
        [dense(np.ones((2, 2, 2)))],
        "error[SNN204]: weights of shape (2, 2, 2) for 2 neurons; they are [neuron, input]\n"
        "  at: a.net/layer/0/weight",
    ),
    "an image for a dense layer": (
        [IMAGE, image(), dense(np.ones((2, 18)))],
        "error[SNN204]: a dense layer reads flat values, but (2, 3, 3) come\n"
        "  at: a.net/layer/2\n"
        "  fix: put a flatten layer in between",
    ),
    "layers of other sizes": (
        [dense(SQUARE), dense(np.ones((2, 3)))],
        "error[SNN204]: 2 values come, but the weights read 3\n  at: a.net/layer/1/weight",
    ),
    "recurrent weights of another size": (
        [dense(SQUARE, type="dense_rec", weight_rec=np.ones((2, 3)))],
        "error[SNN204]: 2 neurons, but recurrent weights of shape (2, 3)\n"
        "  at: a.net/layer/0/weight_rec",
    ),
    "recurrent delays": (
        [dense(SQUARE, type="dense_rec", weight_rec=SQUARE, delay=1)],
        "error[SNN203]: a recurrent layer with delays: netx multiplies its weights by a power "
        "of two by mistake, and slayer delays its output, not its loop\n"
        "  at: a.net/layer/0/delay\n"
        "  fix: train the layer with delay=False",
    ),
    "a negative delay": (
        [dense(SQUARE, delay=-1)],
        "error[SNN207]: a delay of -1 steps is negative\n  at: a.net/layer/0/delay",
    ),
    "delays of another size": (
        [dense(SQUARE, delay=np.zeros(3))],
        "error[SNN204]: delays of shape (3,); weights of shape (2, 2) have one, one per neuron,"
        " per input or per weight\n"
        "  at: a.net/layer/0/delay",
    ),
    "biases of another size": (
        [dense(SQUARE, bias=np.ones(3))],
        "error[SNN204]: biases of shape (3,); a layer of shape (2,) has one, one per channel, "
        "or one per neuron in the shape (2,)\n"
        "  at: a.net/layer/0/bias",
    ),
    "a bias that Lava wraps": (
        [dense(SQUARE, bias=40000)],
        "error[SNN302]: biases of 40000..40000; Lava stores at most 32767 in size\n"
        "  at: a.net/layer/0/bias\n"
        "  fix: scale bias, weights and threshold of the layer down together",
    ),
    "an image of unknown size": (
        [image()],
        "error[SNN204]: the file does not say how large its input images are\n"
        "  at: a.net/layer/0\n"
        "  fix: --sample-shape CHANNELSxHEIGHTxWIDTH, such as 2x34x34",
    ),
    "an image of other channels": (
        [IMAGE | {"shape": [2, 5, 5]}, image()],
        "error[SNN204]: the kernel reads 1 channels x 1 groups, the input has 2 channels\n"
        "  at: a.net/layer/1",
    ),
    "a convolution of another shape": (
        [IMAGE, image(shape=[2, 4, 3])],
        "error[SNN204]: the layer says (2, 4, 3), but its weights give (2, 3, 3)\n"
        "  at: a.net/layer/1/shape",
    ),
    "a convolution of flat values": (
        [IMAGE, {"type": "flatten", "shape": [25, 1, 1]}, image()],
        "error[SNN204]: a conv layer reads channels, height, width, but (25,) come\n"
        "  at: a.net/layer/2",
    ),
    "a stride of zero": (
        [IMAGE, image(stride=[0, 1])],
        "error[SNN202]: 0 where 1..127 belongs\n  at: a.net/layer/1/stride",
    ),
    "an enormous padding": (
        [IMAGE, image(padding=2**30)],
        "error[SNN202]: 1073741824 where 0..127 belongs\n  at: a.net/layer/1/padding",
    ),
    "three strides": (
        [IMAGE, image(stride=[1, 1, 1])],
        "error[SNN202]: 3 numbers where height and width belong\n  at: a.net/layer/1/stride",
    ),
    "groups that do not divide": (
        [IMAGE, image(groups=3)],
        "error[SNN204]: 2 output channels in 3 groups\n  at: a.net/layer/1",
    ),
    "two numbers of groups": (
        [IMAGE, image(groups=[1, 1])],
        "error[SNN202]: 2 numbers where one belongs\n  at: a.net/layer/1/groups",
    ),
    "a kernel of two axes": (
        [IMAGE, image(weight=np.ones((2, 3)))],
        "error[SNN204]: a kernel of shape (2, 3); it is [out, in, height, width]\n"
        "  at: a.net/layer/1/weight",
    ),
    "a kernel larger than its image": (
        [IMAGE, image(weight=np.ones((2, 1, 7, 7)))],
        "error[SNN204]: a kernel of 7x7 (dilation (1, 1)) is larger than its padded input (1, "
        "5, 5)\n"
        "  at: a.net/layer/1",
    ),
    "an input behind other layers": (
        [dense(SQUARE), IMAGE],
        "error[SNN206]: an input layer behind other layers\n  at: a.net/layer/1",
    ),
    "no neurons at all": (
        [IMAGE],
        "error[SNN206]: no layer of the file has neurons\n  at: a.net",
    ),
    "no layers at all": (
        [],
        "error[SNN206]: no layer of the file has neurons\n  at: a.net",
    ),
    "input neurons without a shape": (
        [{"type": "input", "neuron": cuba()}],
        "error[SNN204]: neurons without a shape\n  at: a.net/layer/0",
    ),
    "a pooling that leaves a rest": (
        [IMAGE, pool(weight=np.ones((1, 1, 2, 2)), stride=2)],
        "error[SNN203]: windows of 2x2 that overlap or do not fill an image of 5x5; slayer's "
        "pooling then mixes channels\n"
        "  at: a.net/layer/1\n"
        "  fix: use a convolution with a stride (slayer.block.cuba.Conv)",
    ),
    "a pooling kernel of channels": (
        [IMAGE, pool(weight=np.ones((2, 1, 5, 5)))],
        "error[SNN204]: a pooling kernel of shape (2, 1, 5, 5); it is (1, 1, height, width)\n"
        "  at: a.net/layer/1/weight",
    ),
    "a pooling with delays": (
        [IMAGE, pool(delay=2)],
        "error[SNN203]: a pooling layer with delays\n  at: a.net/layer/1/delay",
    ),
    "a number for neurons": (
        [dense(SQUARE, neuron=3)],
        "error[SNN202]: a dataset where a group belongs\n  at: a.net/layer/0/neuron",
    ),
    "text for numbers": (
        [dense(SQUARE, bias="much")],
        "error[SNN202]: text where numbers belong\n  at: a.net/layer/0/bias",
    ),
    "a group for numbers": (
        [dense(SQUARE, bias={"x": 1})],
        "error[SNN202]: a group where a value belongs\n  at: a.net/layer/0/bias",
    ),
    "no number": (
        [dense(SQUARE, bias=np.zeros(0))],
        "error[SNN202]: no number at all\n  at: a.net/layer/0/bias",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_read_gives_one_error_that_says_where(fault: str) -> None:
    layers, message = REFUSED[fault]
    with pytest.raises(DeployError) as caught:
        read(layers)
    assert str(caught.value) == message


def rewritten(tmp_path, change) -> bytes:
    path = tmp_path / "a.net"
    path.write_bytes(net_bytes([dense(SQUARE, bias=[1, 2])]))
    with h5py.File(path, "r+") as file:
        change(file)
    return path.read_bytes()


DAMAGED = (
    "error[SNN202]: the file is not HDF5, or it is truncated or damaged\n"
    "  at: a.net\n"
    "  fix: copy or download it again; lava-dl files are written by lava-dl's slayer"
)


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(90)])
def test_what_is_not_hdf5_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        read(content)
    assert str(caught.value) == DAMAGED


HOSTILE = {
    "no layers": (
        lambda file: file.move("layer", "layers"),
        "error[SNN202]: an HDF5 file, but not one of lava-dl's\n  at: a.net",
    ),
    "a layer without a number": (
        lambda file: file["layer"].move("0", "first"),
        "error[SNN202]: 1 layer, but not numbered from 0 on\n  at: a.net/layer",
    ),
    "a link to another file": (
        lambda file: file["layer/0"].__setitem__("delay", h5py.ExternalLink("b.net", "/layer")),
        "error[SNN202]: 'delay' is a link that leads elsewhere, which lava-dl files never have\n"
        "  at: a.net/layer/0",
    ),
    "a link within the file": (
        lambda file: file["layer"].__setitem__("1", h5py.SoftLink("/layer/0")),
        "error[SNN202]: '1' is a link that leads elsewhere, which lava-dl files never have\n"
        "  at: a.net/layer",
    ),
    "a type instead of values": (
        lambda file: file["layer/0"].__setitem__("delay", np.dtype("f4")),
        "error[SNN202]: 'delay' is neither a group nor values\n  at: a.net/layer/0",
    ),
    "values in another file": (
        lambda file: file["layer/0"].create_dataset(
            "delay", (2,), "i4", external=[("/etc/passwd", 0, 8)]
        ),
        "error[SNN202]: its values are kept in another file\n  at: a.net/layer/0/delay",
    ),
    "a bomb": (
        lambda file: file["layer/0"].create_dataset("delay", (2**20, 2**20), "i4", chunks=True),
        "error[SNN202]: its arrays take more than 16777216 bytes\n  at: a.net/layer/0/delay\n"
        "  fix: SNN_DEPLOY_LIMITS=1024 is the most that limits are raised by: make it smaller",
    ),
    "complex numbers": (
        lambda file: file["layer/0"].create_dataset("delay", data=SQUARE * 1j),
        "error[SNN202]: complex128 is no type of number\n  at: a.net/layer/0/delay",
    ),
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_hostile_file_gives_one_error_that_says_where(trick: str, tmp_path) -> None:
    change, message = HOSTILE[trick]
    content = rewritten(tmp_path, change)
    with pytest.raises(ModelError) as caught:
        read(content)
    assert str(caught.value) == message


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    return [net_bytes(random_net(np.random.default_rng(seed))[0]) for seed in range(3)]


@settings(max_examples=200)
@given(data=st.data())
def test_a_file_with_changed_bytes_is_read_or_gives_one_error(images, data) -> None:
    """No damage of the bytes may raise anything else; nor may it hang."""
    image = bytearray(data.draw(st.sampled_from(images)))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(image) - 1))
        image[place] = data.draw(st.sampled_from([0, 1, 255]) | st.integers(0, 255))
    end = data.draw(st.just(len(image)) | st.integers(0, len(image)))
    with contextlib.suppress(DeployError):
        read(bytes(image[:end]))


NUMBERS = st.sampled_from([0, 1, -1, 2, 3, 64, -300, 2**31, -(2**63), 2.5, 1e300, math.inf])
JUNK = st.one_of(
    NUMBERS,
    st.sampled_from(["CUBA", "dense", "", "\N{SNOWMAN}"]),
    st.booleans(),
    st.lists(NUMBERS, max_size=4).map(lambda values: np.array(values, np.float64)),
    st.tuples(st.integers(0, 3), st.integers(0, 3)).map(np.ones),
    st.just({"type": 1, "real": 2}),
)


@settings(max_examples=150)
@given(data=st.data(), seed=st.integers(0, 100))
def test_a_file_with_changed_fields_is_read_or_gives_one_error(data, seed: int) -> None:
    layers = random_net(np.random.default_rng(seed))[0]
    for _ in range(data.draw(st.integers(1, 3))):
        group = data.draw(st.sampled_from(layers))
        if "neuron" in group and data.draw(st.booleans()) and isinstance(group["neuron"], dict):
            group = group["neuron"]
        name = data.draw(st.sampled_from([*group, "bias", "delay", "weight_rec", "neuron"]))
        group[name] = data.draw(JUNK)
    with contextlib.suppress(DeployError):
        made = read(layers)
        run(made, np.zeros((2, *made.program.inputs[0].shape), np.int32))
