"""ANNs become spiking networks whose membranes are the ANN's outputs, up to the steps they have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DataError, DeployError, OptionError, UnknownNodeError
from snn_deploy.frontends.ann import evaluate, shapes_of
from snn_deploy.frontends.arch import build, read_architecture
from snn_deploy.frontends.convert import (
    Coding,
    Conversion,
    Converted,
    MaxPooling,
    ThresholdRule,
    convert,
)
from snn_deploy.frontends.convert.pools import rectified_first, without_max_pooling
from snn_deploy.frontends.layers import (
    Cell,
    Concatenation,
    Convolution,
    Flatten,
    LayerGraph,
    Linear,
    Pool,
    Pooling,
    Rectifier,
    Sum,
)
from snn_deploy.frontends.nir import checked_graph, import_graph
from snn_deploy.frontends.onnx import read_onnx
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.frontends.torch_file import StateDict, read_torch_file
from snn_deploy.ir.codecs import Encode, Encoding, decode, encode_current, encode_rate
from snn_deploy.ir.network import Network
from snn_deploy.ir.neuron import State
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Recording, Values
from snn_deploy.quantize import compile_network
from snn_deploy.targets import find_target

Array = np.ndarray
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def kernel(weight: Array, **changes: Any) -> Convolution:
    """Return a convolution."""
    layer = Convolution(weight=weight, stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    return replace(layer, **changes)


def largest(kernel: tuple[int, ...], **changes: Any) -> Pool:
    """Return a max-pooling whose windows do not overlap."""
    padding = (0,) * len(kernel)
    pool = Pool(pooling=Pooling.MAX, kernel=kernel, stride=kernel, padding=padding)
    return replace(pool, **changes)


def small(seed: int = 0) -> LayerGraph:
    """Return a network with biases, a max-pooling, a residual sum and a concatenation."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return rng.normal(0, 0.6, shape)

    graph = LayerGraph(inputs={"x": (1, 8, 8)})
    graph.add("c1", kernel(normal(4, 1, 3, 3), bias=normal(4) / 4), "x")
    graph.add("r1", Rectifier(), "c1")
    graph.add("m1", largest((2, 2)), "r1")
    graph.add("c2", kernel(normal(4, 4, 3, 3) / 2, padding=(1, 1)), "m1")
    graph.add("r2", Rectifier(), "c2", "m1")
    graph.add("side", Concatenation(), "r2", "m1")
    graph.add("flat", Flatten(), "side")
    graph.add("f1", Linear(weight=normal(12, 72) / 3, bias=normal(12)), "flat")
    graph.add("r3", Rectifier(ceiling=2.0), "f1")
    graph.add("f2", Linear(weight=normal(5, 12), bias=normal(5)), "r3")
    graph.outputs["y"] = "f2"
    return graph


def images(count: int, seed: int = 1, shape: tuple[int, ...] = (1, 8, 8)) -> Array:
    """Return pixels."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 256, (count, *shape)) / np.float32(255)).astype(np.float32)


def network_of(converted: Converted) -> Network:
    """Return the real-valued network of a conversion."""
    form = to_nir(converted.graph)
    graph = checked_graph(form.graph, "")
    return import_graph(graph, name="n", where="", annotation=form.annotation).network


def outputs(converted: Converted, x: Array, steps: int) -> Array:
    """Return the decoded outputs of the network that a conversion gives."""
    network = network_of(converted)
    output = network.outputs[0]
    record = Recording(states=frozenset({State.MEMBRANE}), populations=(output.population,))
    values = Values(name=network.inputs[0].name, values=encode_current(x, steps))
    trace = simulate(network, [values], record)
    return decode(trace[output.population], output.decode, 0, steps)


def ann_outputs(graph: LayerGraph, x: Array) -> Array:
    """Return the outputs of the ANN."""
    (source,) = graph.outputs.values()
    return evaluate(graph, dict.fromkeys(graph.inputs, x))[source]


def off(values: Array, wanted: Array) -> float:
    """Return the root mean square error relative to what is wanted."""
    return float(np.sqrt(np.mean((values - wanted) ** 2) / np.mean(wanted**2)))


def test_more_steps_come_closer_to_the_ann() -> None:
    graph, x = small(), images(30, seed=2)
    wanted = ann_outputs(graph, x)
    errors = [
        off(outputs(convert(graph, images(60), Conversion(steps=steps)), x, steps), wanted)
        for steps in (4, 16, 64, 256)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.03


@settings(max_examples=12)
@given(st.integers(1, 40), st.floats(0.05, 2.0), st.integers(0, 2**31))
def test_one_neuron_counts_to_the_nearest_number_of_spikes(
    steps: int, threshold: float, seed: int
) -> None:
    graph = LayerGraph(inputs={"x": (1,)})
    graph.add("f", Linear(weight=np.ones((1, 1))), "x")
    graph.add("r", Rectifier(), "f")
    graph.outputs["y"] = "r"
    calibration = np.array([[threshold]], np.float32)
    options = Conversion(steps=steps, threshold=ThresholdRule.MAX)
    converted = convert(graph, calibration, options)
    x = np.random.default_rng(seed).uniform(-1, 1.5, (50, 1)).astype(np.float32) * threshold
    counts = outputs(converted, x, steps) / np.float32(threshold) * steps
    exact = x / np.float32(threshold) * steps
    # A clear distance from both roundings, for the sums of a run are rounded too.
    clear = np.abs(exact % 1 - 0.5) > 1e-3
    nearest = np.clip(np.rint(exact), 0, steps)
    assert np.allclose(counts[clear], nearest[clear], atol=1e-3)


@pytest.mark.parametrize("pooling", list(MaxPooling))
@pytest.mark.parametrize("spikes", [1, 3])
def test_the_calibration_runs_what_the_network_will_compute(
    pooling: MaxPooling, spikes: int
) -> None:
    if spikes > 1 and pooling is MaxPooling.ANY_SPIKE:
        pytest.skip("any-spike pools binary neurons; the error for others is tested below")
    options = Conversion(steps=9, max_pooling=pooling, most_spikes=spikes, correct_bias=True)
    graph, x = small(4), images(40)
    converted = convert(graph, x, options)
    network = network_of(converted)
    values = Values(name="x", values=encode_current(x, 9))
    trace = simulate(network, [values], EVERYTHING)
    for layer in converted.layers:
        if layer.name not in graph.nodes:
            continue  # a rectifier of a decomposed maximum: no value of the ANN as it was
        payload = trace[layer.name].payload
        assert payload is not None
        mean = payload.mean(axis=1) * layer.threshold
        wanted = evaluate(graph, {"x": x}, keep=[layer.name])[layer.name]
        assert off(mean, wanted) == pytest.approx(layer.error, rel=0.02)


@settings(max_examples=25)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_a_decomposed_maximum_is_the_maximum(
    window: tuple[int, int], stride: tuple[int, int], rectified: bool, seed: int
) -> None:
    graph = LayerGraph(inputs={"x": (2, 7, 6)})
    source = graph.add("r", Rectifier(), "x") if rectified else "x"
    padding = tuple(side // 2 for side in window) if rectified else (0, 0)
    graph.add("m", largest(window, stride=stride, padding=padding), source)
    graph.outputs["y"] = "m"
    x = np.random.default_rng(seed).normal(0, 1, (3, 2, 7, 6)).astype(np.float32)
    made = without_max_pooling(graph, shapes_of(graph))
    assert np.allclose(ann_outputs(made, x), ann_outputs(graph, x), atol=1e-6)
    assert not any(isinstance(n.layer, Pool) for n in made.nodes.values())


def test_a_decomposed_maximum_along_a_line_is_the_maximum() -> None:
    graph = LayerGraph(inputs={"x": (3, 11)})
    graph.add("m", largest((4,)), "x")
    graph.outputs["y"] = "m"
    x = np.random.default_rng(3).normal(0, 1, (5, 3, 11)).astype(np.float32)
    made = without_max_pooling(graph, shapes_of(graph))
    assert np.allclose(ann_outputs(made, x), ann_outputs(graph, x), atol=1e-6)


def test_a_rectifier_moves_in_front_of_the_pooling_that_it_alone_reads() -> None:
    graph = LayerGraph(inputs={"x": (1, 4, 4)})
    graph.add("c", kernel(np.ones((1, 1, 1, 1))), "x")
    graph.add("m", largest((2, 2), padding=(1, 1)), "c")
    graph.add("r", Rectifier(), "m")
    graph.outputs["y"] = "r"
    made = rectified_first(graph)
    assert isinstance(made.nodes["m"].layer, Rectifier)
    assert isinstance(made.nodes["r"].layer, Pool)
    x = np.random.default_rng(3).normal(0, 1, (5, 1, 4, 4)).astype(np.float32)
    assert np.array_equal(ann_outputs(made, x), ann_outputs(graph, x))
    graph.add("also", Sum(), "m")
    graph.outputs["z"] = "also"
    assert rectified_first(graph).nodes == graph.nodes


def test_any_spike_is_larger_than_the_largest_rate_and_decomposition_is_closer() -> None:
    graph, x = small(), images(60)
    found = {
        pooling: next(
            str(finding)
            for finding in convert(graph, x, Conversion(steps=16, max_pooling=pooling)).findings
            if finding.layer == "m1"
        )
        for pooling in MaxPooling
    }
    share = {
        pooling: float(text.split("maxima off by ")[1].split(" %")[0])
        for pooling, text in found.items()
    }
    assert share[MaxPooling.DECOMPOSED] < share[MaxPooling.ANY_SPIKE]
    assert found[MaxPooling.DECOMPOSED].endswith(
        "(root mean square); a max-pooling is decomposed into rectified differences, one neuron "
        "each"
    )


def test_bias_correction_makes_the_mean_rates_those_of_the_ann() -> None:
    graph, x = small(), images(100)
    plain = convert(graph, x, Conversion(steps=6))
    moved = convert(graph, x, Conversion(steps=6, correct_bias=True))

    def gap(converted: Converted) -> float:
        network = network_of(converted)
        values = Values(name="x", values=encode_current(x, 6))
        trace = simulate(network, [values], EVERYTHING)
        payload = trace["r3"].payload
        assert payload is not None
        threshold = next(layer.threshold for layer in converted.layers if layer.name == "r3")
        wanted = evaluate(graph, {"x": x}, keep=["r3"])["r3"]
        return float(np.abs((payload.mean(axis=1) * threshold - wanted).mean(axis=0)).mean())

    assert gap(moved) < gap(plain)


def two_inputs() -> LayerGraph:
    """Return a dense layer that reads two inputs."""
    graph = LayerGraph(inputs={"a": (3,), "b": (3,)})
    graph.add("f", Linear(weight=np.eye(3)), graph.add("both", Sum(), "a", "b"))
    graph.outputs["y"] = graph.add("r", Rectifier(), "f")
    return graph


def clipped(*ceilings: float | None) -> LayerGraph:
    """Return as many dense layers, with rectifiers that are clipped."""
    generator = np.random.default_rng(5)
    graph = LayerGraph(inputs={"x": (6,)})
    source = "x"
    for place, ceiling in enumerate(ceilings):
        graph.add(f"f{place}", Linear(weight=generator.normal(0, 1, (6, 6))), source)
        source = graph.add(f"r{place}", Rectifier(ceiling=ceiling), f"f{place}")
    graph.outputs["y"] = source
    return graph


def test_the_ceiling_of_a_rectifier_can_be_its_threshold() -> None:
    steps, x = 8, np.random.default_rng(1).random((40, 6)).astype(np.float32)
    options = Conversion(steps=steps, threshold=ThresholdRule.CEILING)
    converted = convert(clipped(1.5, 0.75), x, options)
    assert [layer.threshold for layer in converted.layers] == [1.5, 0.75]
    first = convert(clipped(1.5), x, options)
    z = x @ clipped(1.5).nodes["f0"].layer.weight.T
    exact = z / 1.5 * steps + 0.5
    clear = np.abs(exact - np.rint(exact)) > 1e-3
    wanted = 1.5 * np.clip(np.floor(exact), 0, steps) / steps  # quantisation-clip-floor-shift
    np.testing.assert_allclose(outputs(first, x, steps)[clear], wanted[clear], atol=1e-6)


def test_a_search_finds_no_worse_a_threshold_for_few_steps() -> None:
    graph, x = small(), images(100)
    errors = {
        rule: convert(graph, x, Conversion(steps=4, threshold=rule)).layers[0].error
        for rule in set(ThresholdRule) - {ThresholdRule.CEILING}
    }
    assert errors[ThresholdRule.SEARCH] <= min(errors.values()) * 1.02


def test_rates_approach_the_ann_too() -> None:
    graph, x = small(), images(20)
    options = Conversion(steps=400, coding=Coding.RATE, seed=3)
    converted = convert(graph, x, options)
    assert converted.encoding == Encoding(how=Encode.RATE, steps=400, seed=3)
    network = network_of(converted)
    output = network.outputs[0]
    values = Values(name="x", values=encode_rate(x.astype(np.float64), 400, 3))
    trace = simulate(network, [values], EVERYTHING)
    given = decode(trace[output.population], output.decode, 0, 400)
    assert off(given, ann_outputs(graph, x)) < 0.15


@pytest.mark.parametrize(
    ("scale", "shift", "levels", "low", "unit"),
    [
        (1, 0, 255, 0, 1 / 255),
        (255, 0, 255, 0, 1.0),
        (1, -1, 255, -255, 1 / 255),
        (1, 0, 31, 0, 1 / 31),
        (255, 0, 31, 0, 255 / 31),
    ],
)
def test_pixels_enter_as_whole_numbers(
    scale: float, shift: float, levels: int, low: int, unit: float
) -> None:
    x = images(4) * np.float32(scale) + np.float32(shift)
    converted = convert(small(), x, Conversion(levels=levels))
    wanted = Encoding(how=Encode.CURRENT, steps=32, low=low, high=levels, unit=unit)
    assert converted.encoding == wanted
    rounded = [str(finding) for finding in converted.findings if finding.layer == "x"]
    if levels == 255:
        assert rounded == []
    else:
        assert rounded == [
            f"rounded    x: values become multiples of {unit:.3g} in an integer program; they "
            "enter as up to 31; larger numbers (levels=255 for pixels) leave fewer bits for the "
            "weights where membranes have few"
        ]


def test_values_of_another_range_have_room_for_larger_ones() -> None:
    x = images(4) * np.float32(3) - np.float32(1.5)
    encoding = convert(small(), x).encoding
    assert encoding.low == -31
    assert encoding.unit * encoding.high == pytest.approx(2 * np.abs(x).max())


@pytest.mark.parametrize("target", ["loihi2", "cpu"])
def test_integers_answer_as_the_real_network(target: str) -> None:
    graph, steps = small(), 24
    calibration, x = images(60), images(40, seed=5)
    converted = convert(graph, calibration, Conversion(steps=steps))
    network = network_of(converted)
    given = [Values(name="x", values=encode_current(calibration[:20], steps))]
    program = compile_network(
        network, find_target(target), encoding=converted.encoding, calibration=given
    ).program
    whole = np.rint(x / converted.encoding.unit).astype(np.int32)
    trace = ReferenceBackend().run(
        program, [Values(name="x", values=encode_current(whole, steps))], EVERYTHING
    )
    output = program.outputs[0]
    read = program.population(output.population)
    answers = decode(trace[output.population], output.decode, read.lag, steps) * read.units
    real = outputs(converted, x, steps)
    scale = float((answers * real).sum() / (answers**2).sum())
    assert off(answers * scale, real) < 0.15
    assert np.mean(answers.argmax(axis=1) == real.argmax(axis=1)) >= 0.9


def test_a_silent_layer_is_told() -> None:
    graph = LayerGraph(inputs={"x": (2,)})
    graph.add("f", Linear(weight=-np.ones((2, 2))), "x")
    graph.add("r", Rectifier(), "f")
    graph.outputs["y"] = "r"
    converted = convert(graph, np.ones((3, 2), np.float32))
    assert str(converted.findings[0]) == (
        "guessed    r: threshold 1; it is never active on the calibration data, which so says no "
        "threshold"
    )


def with_cell() -> LayerGraph:
    """Return a network with neurons."""
    graph = LayerGraph(inputs={"x": (2,)})
    graph.add("n", Cell(decay=np.ones(())), "x")
    graph.outputs["y"] = "n"
    return graph


def analog_pool(**changes: Any) -> LayerGraph:
    """Return a network that pools what no rectifier gives."""
    graph = LayerGraph(inputs={"x": (1, 4, 4)})
    graph.add("m", largest((2, 2), **changes), "x")
    graph.add("r", Rectifier(), "m")
    graph.add("also", Sum(), "m", "m")
    graph.outputs["y"] = "also"
    return graph


PIXELS = images(2, shape=(1, 4, 4))


@pytest.mark.parametrize(
    ("graph", "x", "options", "kind", "error"),
    [
        (
            with_cell(),
            np.ones((1, 2)),
            {},
            UnknownNodeError,
            "error[SNN203]: a Cell is no layer of an ANN\n"
            "  at: n\n"
            "  fix: only networks without neurons, delays and feedback are converted",
        ),
        (
            analog_pool(),
            PIXELS,
            {"max_pooling": MaxPooling.ANY_SPIKE},
            UnknownNodeError,
            "error[SNN203]: a max-pooling of values that are not a rectifier's cannot be the first "
            "spike of a window\n"
            "  at: m\n"
            "  fix: max_pooling=MaxPooling.DECOMPOSED",
        ),
        (
            analog_pool(padding=(1, 1)),
            PIXELS,
            {},
            UnknownNodeError,
            "error[SNN203]: a max-pooling with padding is read only behind a rectifier\n"
            "  at: m\n"
            "  fix: put the rectifier in front of it, or leave out the padding",
        ),
        (
            small(),
            images(2),
            {"max_pooling": MaxPooling.ANY_SPIKE, "most_spikes": 2},
            OptionError,
            "error[SNN102]: max_pooling=any-spike pools neurons of one spike a step, not of 2\n"
            "  at: most_spikes\n"
            "  fix: most_spikes=1, or max_pooling=MaxPooling.DECOMPOSED",
        ),
        (
            small(),
            PIXELS,
            {},
            DataError,
            "error[SNN208]: values of shape (1, 4, 4) for 2 samples; the network reads (1, 8, 8)\n"
            "  at: x",
        ),
        (
            two_inputs(),
            np.ones((2, 3), np.float32),
            {},
            DataError,
            "error[SNN208]: one array for the inputs a, b\n  fix: give them by name",
        ),
        (
            two_inputs(),
            {"a": np.ones((2, 3), np.float32), "b": np.ones((3, 3), np.float32)},
            {},
            DataError,
            "error[SNN208]: the inputs have different numbers of samples",
        ),
        (
            small(),
            images(2) * np.float32(np.nan),
            {},
            DataError,
            "error[SNN208]: a value of the calibration data is NaN or infinite\n  at: x",
        ),
        (
            clipped(6.0, None),
            np.ones((2, 6), np.float32),
            {"threshold": ThresholdRule.CEILING},
            OptionError,
            "error[SNN102]: 1 of 2 rectifiers without a ceiling to be the threshold\n  at: r1\n"
            "  fix: Hardtanh(0, c) or ReLU6 in its place, or another rule",
        ),
    ],
)
def test_what_cannot_be_converted_is_named(
    graph: LayerGraph, x: Array, options: dict[str, Any], kind: type[DeployError], error: str
) -> None:
    with pytest.raises(kind) as caught:
        convert(graph, x, Conversion(**options))
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"coding": Coding.TTFS},
            "error[SNN102]: time-to-first-spike coding needs neurons that fire once, thresholds "
            "that fall with time and a window of steps for each layer, which no network has here "
            "yet\n  at: coding\n  fix: coding=Coding.CURRENT or Coding.RATE",
        ),
        ({"steps": 0}, "error[SNN102]: no conversion has 0 steps\n  fix: steps=1 or more"),
        (
            {"percentile": 0.0},
            "error[SNN102]: no conversion has percentile 0\n  fix: 0 < percentile <= 100",
        ),
        ({"initial": 1.0}, "error[SNN102]: no conversion has initial 1\n  fix: 0 <= initial < 1"),
    ],
)
def test_options_that_no_conversion_has_are_named(options: dict[str, Any], error: str) -> None:
    with pytest.raises(OptionError) as caught:
        Conversion(**options)
    assert str(caught.value) == error


def digits() -> tuple[Array, Array]:
    """Return MNIST digits in turn of all classes [sample, 1, 28, 28] in 0..1, and their labels."""
    import importlib.util

    specification = importlib.util.spec_from_file_location(
        "digits", EXAMPLES / "mnist" / "digits.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    try:
        rows = module.read_rows().reshape(10, 500, 785).swapaxes(0, 1).reshape(-1, 785)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return (rows[:, :-1] / np.float32(255)).reshape(-1, 1, 28, 28), rows[:, -1].astype(np.int64)


@pytest.mark.shared
def test_a_published_network_keeps_its_accuracy_in_8_steps(shared_data: Path) -> None:
    file = read_torch_file((shared_data / "sinabs/mnist_params.pt").read_bytes(), "mnist_params.pt")
    assert isinstance(file, StateDict)
    arch = read_architecture(EXAMPLES / "conversion" / "sinabs_mnist.toml")
    graph = build(arch, file.tensors)
    x, labels = digits()
    converted = convert(graph, x[:100], Conversion(steps=8))
    scored, truth = x[500:700], labels[500:700]
    wanted = ann_outputs(graph, scored).argmax(axis=1)
    answers = outputs(converted, scored, 8).argmax(axis=1)
    assert np.mean(wanted == truth) >= 0.95
    assert np.mean(answers == truth) >= np.mean(wanted == truth) - 0.02


@pytest.mark.shared
def test_a_published_onnx_network_keeps_its_answers(shared_data: Path) -> None:
    pytest.importorskip("onnx")
    content = (shared_data / "qonnx/mnist-conv/model.onnx").read_bytes()
    graph = read_onnx(content, "model.onnx")
    x, _ = digits()
    converted = convert(graph, x[:100] * 255, Conversion(steps=8))
    scored = x[500:700] * 255
    wanted = ann_outputs(graph, scored).argmax(axis=1)
    assert np.mean(outputs(converted, scored, 8).argmax(axis=1) == wanted) >= 0.98
