"""Fine-tuning as integers: the module's states are the program's, bit for bit."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from networks import STEPS, dyadic, random_inputs, random_network

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.deployment import read_deployment
from snn_deploy.errors import DataError, InputRangeError, QuantizeError, UnsupportedError
from snn_deploy.frontends import load
from snn_deploy.ir.arithmetic import Decay, Overflow, Register
from snn_deploy.ir.codecs import Encoding, decode
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Bias,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind, State
from snn_deploy.ir.program import Program
from snn_deploy.ir.timing import Window
from snn_deploy.ir.trace import EVERYTHING, Trace, Values
from snn_deploy.ir.weighting import Weighting
from snn_deploy.quantize import Options, compile_network
from snn_deploy.targets import find_target

torch = pytest.importorskip("torch")

from snn_deploy.quantize.torch import FineTune, Run, prepare  # noqa: E402 - needs torch
from snn_deploy.quantize.torch_gradients import (  # noqa: E402 - needs torch
    decayed,
    held,
    rounded,
    spikes,
)

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parent.parent.parent
LOIHI, CPU = find_target("loihi2"), find_target("cpu")
PLAIN = Options(search=False)


def two_layers(
    *,
    decode: Decode = Decode.MEMBRANE_MEAN,
    reset: ResetKind = ResetKind.VALUE,
    fires: Fires = Fires.NEVER,
) -> Network:
    """Return 6 inputs, 8 leaky neurons with biases, 3 outputs; on Loihi a clock carries biases."""
    rng = np.random.default_rng(3)
    hidden = Population(
        name="hidden",
        shape=(8,),
        decay=np.asarray(0.875),
        threshold=np.asarray(1.5),
        reset=Reset(kind=reset, amount=np.asarray(1.5 * (reset is ResetKind.SUBTRACT))),
        biases=(Bias(value=dyadic(rng, (8,)) / 8),),
    )
    out = Population(name="out", shape=(3,), decay=np.asarray(0.75), fires=fires)
    return Network(
        name="two",
        inputs=(Input(name="in", shape=(6,)),),
        populations=(hidden, out),
        projections=(
            Projection(
                name="w1", source="in", target="hidden", map=Dense(weight=rng.normal(size=(8, 6)))
            ),
            Projection(
                name="w2", source="hidden", target="out", map=Dense(weight=rng.normal(size=(3, 8)))
            ),
        ),
        outputs=(Output(name="output", population="out", decode=decode),),
    )


def some_spikes(network: Network, samples: int = 2, steps: int = STEPS) -> tuple[Values, ...]:
    rng = np.random.default_rng(5)
    entry = network.inputs[0]
    shape = (samples, steps, *entry.shape)
    return (Values(name=entry.name, values=(rng.random(shape) < 0.5).astype(np.float64)),)


def shaken(tuned: FineTune, seed: int, size: float = 0.3) -> FineTune:
    """Move every trained number at random, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in tuned.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(size * noise * (parameter.abs() + 0.1))
    return tuned


def states(program: Program, inputs: tuple[Values, ...]) -> Trace:
    whole = [Values(name=v.name, values=v.values.astype(np.int32)) for v in inputs]
    return ReferenceBackend().run(program, whole, EVERYTHING)


def assert_equal(run: Run, program: Program, trace: Trace) -> None:
    """Every payload, and every membrane, of every step equals the program's, lag steps later."""
    for population in program.populations:
        if population.name not in run.records:
            continue  # a clock neuron that carries biases
        record, made = run.records[population.name], trace[population.name]
        window = slice(population.lag, population.lag + STEPS)
        for ours, theirs in ((record.payload, made.payload), (record.membrane, made.membrane)):
            assert theirs is not None
            np.testing.assert_array_equal(ours.detach().numpy().swapaxes(0, 1), theirs[:, window])


@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([2, 3, 5, 8]), chip=st.booleans())
def test_every_state_of_the_module_is_that_of_the_exported_program(seed, bits, chip):
    rng = np.random.default_rng(seed)
    network, target = random_network(rng), find_target("loihi2" if chip else "cpu")
    inputs = random_inputs(rng, network)
    try:
        tuned = prepare(network, target, options=Options(weight_bits=bits, search=False))
    except QuantizeError:
        assume(False)
    shaken(tuned, seed)
    run = tuned(*(torch.tensor(v.values) for v in inputs))
    assert_equal(run, tuned.program(), states(tuned.program(), inputs))


@pytest.mark.parametrize("chip", ["loihi1", "loihi2", "cpu"])
def test_on_the_chip_its_spikes_come_later_and_are_the_same(chip):
    network = two_layers()
    inputs = some_spikes(network)
    tuned = shaken(
        prepare(network, find_target(chip), options=Options(weight_bits=3, search=False)), 1
    )
    program = tuned.compiled().program
    run = tuned(*(torch.tensor(v.values) for v in inputs))
    assert run.records["hidden"].payload.any()
    assert_equal(run, program, states(program, inputs))


def test_the_exported_integers_are_those_of_the_module():
    tuned = shaken(prepare(two_layers(), LOIHI, options=Options(weight_bits=3, search=False)), 2)
    program = tuned.compiled().program
    stored = {part.name: part().detach().numpy() for part in tuned.projections}
    exported = {p.name: p.map.numbers() for p in program.projections}
    for name, weight in stored.items():
        np.testing.assert_array_equal(exported[name], weight)
        assert set(np.unique(weight)) <= set(range(-256, 193, 64))
    for part in tuned.populations:
        made = program.population(part.name)
        np.testing.assert_array_equal(made.threshold, part().threshold.detach().numpy())
        assert not np.any(made.threshold % 64)


@pytest.mark.parametrize("chip", ["loihi2", "cpu"])
def test_it_starts_as_what_the_compiler_makes(chip):
    network, target = two_layers(), find_target(chip)
    inputs = some_spikes(network, samples=8)
    options = Options(weight_bits=4, trials=1)  # on cpu a scale for each channel
    wanted = compile_network(network, target, calibration=inputs, options=options)
    found = prepare(network, target, calibration=inputs, options=options).compiled()
    assert found.program.digest == wanted.program.digest
    assert (found.findings, found.pipeline) == (wanted.findings, wanted.pipeline)


def test_nothing_is_clipped_by_fine_tuning():
    layers = prepare(two_layers(), LOIHI, options=PLAIN).compiled().layers
    assert [part.clipped for layer in layers for part in layer.projections] == [0.0] * 2


def test_its_weights_are_those_of_the_network_per_payload_of_the_input():
    network = two_layers()
    encoding = Encoding(low=-8, high=8, unit=0.25)
    tuned = prepare(network, CPU, encoding=encoding, options=PLAIN)
    for part, trained, unit in zip(tuned.projections, network.projections, (0.25, 1), strict=True):
        same = part.real.detach().numpy() == trained.map.numbers() * unit
        assert same.mean() > 0.8  # others start where they round to the program's number


def test_sums_beyond_what_float32_counts_are_exact():
    network = two_layers(reset=ResetKind.NONE)
    first = replace(network.projections[0], map=Dense(weight=np.linspace(0.9, 1, 48).reshape(8, 6)))
    forgets = replace(network.populations[0], decay=np.asarray(0.0))
    network = replace(
        network,
        populations=(forgets, network.populations[1]),
        projections=(first, network.projections[1]),
    )
    most = (1 << 18) - 1
    fine = replace(CPU.weights, shift=replace(CPU.weights.shift, value=0))
    tuned = prepare(
        network,
        replace(CPU, weights=fine),
        encoding=Encoding(high=most, unit=1 / 2**18),
        options=PLAIN,
    )
    inputs = (
        Values(name="in", values=np.full((1, STEPS, 6), most) - 2 * np.arange(STEPS)[:, None]),
    )
    program = tuned.program()
    assert program.projections[0].map.numbers().sum(axis=1).min() * most > 2**24
    run = tuned(torch.tensor(inputs[0].values / 2**18))
    assert_equal(run, program, states(program, inputs))


@pytest.mark.parametrize("into", [State.CURRENT, State.MEMBRANE])
@pytest.mark.parametrize("start", [0, 3])
def test_a_bias_acts_on_its_state_from_its_step_on(into, start):
    network = two_layers()
    hidden = replace(
        network.populations[0],
        synapse=Synapse(decay=np.asarray(0.5)),
        biases=(Bias(value=np.asarray(0.375), into=into, start=start),),
    )
    network = replace(network, populations=(hidden, network.populations[1]))
    inputs = some_spikes(network)
    tuned = prepare(network, CPU, options=PLAIN)
    program = tuned.program()
    assert [(b.into, b.start) for b in program.population("hidden").biases] == [(into, start)]
    run = tuned(*(torch.tensor(v.values) for v in inputs))
    assert_equal(run, program, states(program, inputs))


def test_a_threshold_never_becomes_0():
    tuned = prepare(two_layers(), CPU, options=PLAIN)
    with torch.no_grad():
        for growth in tuned.thresholds():
            growth.fill_(-100)
    assert np.all(tuned.program().population("hidden").threshold == 1 << CPU.thresholds.shift.value)


@pytest.mark.parametrize("how", list(Decode))
def test_answers_are_decoded_as_the_output_is(how):
    fires = Fires.BINARY if how.spiking else Fires.NEVER
    weights = Weighting.of(0.9 ** np.arange(STEPS)) if how.weighted else None
    plain = two_layers(decode=Decode.MEMBRANE_END, fires=fires)
    outputs = (replace(plain.outputs[0], decode=how, weights=weights),)
    network = replace(plain, outputs=outputs)
    inputs = some_spikes(network)
    tuned = prepare(network, LOIHI, options=PLAIN)
    program = tuned.program()
    trace = states(program, inputs)["out"]
    unit = 1.0 if fires is Fires.BINARY else program.population("out").units
    wanted = unit * decode(trace, how, 0, STEPS, weights)
    answer = tuned(*(torch.tensor(v.values) for v in inputs)).answer
    np.testing.assert_allclose(answer.detach().numpy(), wanted, rtol=1e-12)
    answer.sum().backward()
    assert all(np.any(w.grad.numpy()) for w in tuned.weights())


def test_two_bits_learn_what_the_real_network_answers():
    network = two_layers()
    (inputs,) = some_spikes(network, samples=64)
    given = torch.tensor(inputs.values)
    teacher = prepare(network, LOIHI, options=PLAIN)(given).answer.detach()
    tuned = prepare(network, LOIHI, options=Options(weight_bits=2))
    optimizer = torch.optim.Adam(tuned.parameters(), lr=2e-2)
    errors = []
    for _ in range(40):
        error = torch.nn.functional.mse_loss(tuned(given).answer, teacher)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert min(errors[-10:]) < 0.5 * errors[0]
    compiled = tuned.compiled()
    changed = {f.layer: f.amount for f in compiled.findings if f.kind is Kind.CHANGED}
    assert changed["w1"].endswith("% of the weights have other whole numbers")
    assert changed["hidden"].startswith("the threshold moved by up to")


def test_learning_rates_follow_the_size_of_each_layers_weights():
    network = two_layers()
    small = replace(
        network.projections[1], map=Dense(weight=network.projections[1].map.numbers() / 1000)
    )
    network = replace(network, projections=(network.projections[0], small))
    tuned = prepare(network, LOIHI, options=PLAIN)
    groups = tuned.groups(rate=0.1)
    first, bias, second, thresholds = (group["lr"] for group in groups)
    assert first == bias
    assert first == pytest.approx(0.1 * network.projections[0].map.numbers().std(), rel=0.01)
    assert second == pytest.approx(0.1 * small.map.numbers().std(), rel=0.01)
    assert thresholds == 0.01
    trained = {id(p) for group in groups for p in group["params"]}
    assert trained == {id(p) for p in tuned.parameters() if p.requires_grad}


def test_a_reset_that_subtracts_the_threshold_moves_along():
    tuned = prepare(two_layers(reset=ResetKind.SUBTRACT), LOIHI, options=Options(search=False))
    before = tuned.program().population("hidden")
    with torch.no_grad():
        for growth in tuned.thresholds():
            growth.fill_(0.5)
    after = tuned.program().population("hidden")
    assert after.threshold > 1.6 * before.threshold
    assert after.reset.amount - before.reset.amount == after.threshold - before.threshold


def test_a_weight_beyond_the_range_is_pulled_back_and_never_pushed_on():
    real = torch.tensor([-9.0, -9.0, 1.4, 9.0, 9.0], requires_grad=True)
    made = rounded(real, -4, 3)
    made.backward(torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0]))
    assert made.tolist() == [-4, -4, 1, 3, 3]
    assert real.grad.tolist() == [0, -1, 1, 1, 0]


def test_decays_round_toward_zero_and_their_gradient_does_not():
    value = torch.tensor([-5.0, -4.0, 5.0], dtype=torch.float64, requires_grad=True)
    made = decayed(value, torch.tensor(0.5, dtype=torch.float64))
    made.sum().backward()
    assert made.tolist() == [-2, -2, 2]
    assert value.grad.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("overflow", list(Overflow))
def test_registers_overflow_as_the_reference_says(overflow):
    register = Register(bits=4, overflow=overflow)
    value = np.arange(-14, 15)
    made = held(torch.tensor(value, dtype=torch.float64), register)
    np.testing.assert_array_equal(made.numpy(), register.held(value))


def test_a_neuron_at_its_threshold_has_the_steepest_gradient():
    v = torch.linspace(0, 400, 41, dtype=torch.float64, requires_grad=True)
    threshold = torch.tensor(100.0, dtype=torch.float64, requires_grad=True)
    for most, steepest in ((1, [100]), (3, [100, 200, 300])):
        kind = Fires.COUNT if most > 1 else Fires.BINARY
        v.grad = threshold.grad = None
        sent = spikes(v, threshold, fires=kind, compare=Compare.GREATER, most=most)
        sent.sum().backward()
        top = v.grad == v.grad.max()
        assert v.detach()[top].tolist() == steepest
        assert threshold.grad < 0


def norse_network() -> Any:
    snn = pytest.importorskip("norse.torch")
    parameters = snn.LIFBoxParameters(tau_mem_inv=torch.tensor(200.0), v_th=torch.tensor(0.4))
    return snn.SequentialState(
        torch.nn.Linear(6, 8),
        snn.LIFBoxCell(parameters),
        torch.nn.Linear(8, 3),
        snn.LIFBoxCell(parameters),
    )


def snntorch_network() -> Any:
    snn = pytest.importorskip("snntorch")
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8),
        snn.Leaky(beta=0.75, threshold=0.5, init_hidden=True),
        torch.nn.Linear(8, 3),
        snn.Leaky(beta=0.5, threshold=0.5, init_hidden=True, reset_mechanism="zero"),
    )


@pytest.mark.parametrize("make", [norse_network, snntorch_network])
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_modules_of_frameworks_are_trained_after_reading_them(make):
    torch.manual_seed(0)
    found = load(make(), sample_shape=(6,))
    tuned = prepare(
        found.network, LOIHI, encoding=found.encoding, options=Options(weight_bits=3, search=False)
    )
    shaken(tuned, 3)
    inputs = some_spikes(found.network)
    program = tuned.compiled().program
    run = tuned(torch.tensor(inputs[0].values))
    assert_equal(run, program, states(program, inputs))
    assert any(record.payload.any() for record in run.records.values())


def test_a_converted_network_is_trained_on_the_currents_it_reads():
    torch.manual_seed(0)
    layers = (torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    values = np.random.default_rng(1).random((20, 6))
    found = load(torch.nn.Sequential(*layers).eval(), calibration=values, sample_shape=(6,))
    tuned = prepare(
        found.network, LOIHI, encoding=found.encoding, options=Options(weight_bits=3, search=False)
    )
    shaken(tuned, 4)
    entry, unit = found.network.inputs[0].name, found.encoding.unit
    real = np.repeat(values[:2, None], STEPS, axis=1)
    run = tuned(torch.tensor(real))
    program = tuned.compiled().program
    assert_equal(run, program, states(program, (Values(name=entry, values=np.rint(real / unit)),)))


def test_neurons_that_it_does_not_compute_are_refused_by_what_they_have():
    start = prepare(two_layers(), LOIHI, options=PLAIN).start
    hidden = replace(start.program.population("hidden"), window=Window(first=0, behind=4))
    program = replace(start.program, populations=(hidden, start.program.population("out")))
    with pytest.raises(UnsupportedError) as refused:
        FineTune(replace(start, program=program))
    assert str(refused.value) == (
        "error[SNN301]: its window cannot be trained as integers\n"
        "  at: hidden\n"
        "  fix: compile_network with Options(weight_bits=...), which trains nothing"
    )


def test_a_chip_whose_decays_are_shifts_is_refused():
    start = prepare(two_layers(), LOIHI, options=PLAIN).start
    arithmetic = replace(start.program.arithmetic, decay=Decay.SHIFT)
    three = np.asarray(3, np.int32)
    shifted = tuple(
        replace(p, decay=three, current=p.current and replace(p.current, decay=three))
        for p in start.program.populations
    )
    program = replace(start.program, arithmetic=arithmetic, populations=shifted)
    with pytest.raises(UnsupportedError, match="its decay cannot be trained as integers"):
        FineTune(replace(start, program=program))


def test_wrong_inputs_are_named():
    tuned = prepare(two_layers(), LOIHI, options=PLAIN)
    with pytest.raises(DataError) as shape:
        tuned(torch.zeros(2, 8, 5))
    assert str(shape.value) == (
        "error[SNN208]: an input of shape (2, 8, 5); it is [sample, step, 6]\n  at: in"
    )
    with pytest.raises(DataError) as missing:
        tuned()
    assert str(missing.value) == "error[SNN208]: 0 inputs, but the network has in"
    with pytest.raises(InputRangeError) as large:
        tuned(torch.full((2, 8, 6), 3.0))
    assert str(large.value) == (
        "error[SNN504]: payloads of 3..3, but the program declares 0..1\n"
        "  at: in\n"
        "  fix: prepare(..., encoding=Encoding(low=..., high=..., unit=...))"
    )
    prepare(two_layers(), LOIHI, encoding=Encoding(high=3), options=PLAIN)(
        torch.full((2, 8, 6), 3.0)
    )


def test_the_documented_loop_ends_in_an_artifact_with_the_integers_of_the_module(
    tmp_path, monkeypatch
):
    page = (ROOT / "docs" / "fine-tuning.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    snn = pytest.importorskip("snntorch")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    spikes = (rng.random((12, 5, 28)) < 0.3).astype(np.float64)
    names: dict[str, Any] = {
        "module": torch.nn.Sequential(
            torch.nn.Linear(28, 10), snn.Leaky(beta=0.75, threshold=0.5, init_hidden=True)
        ),
        "spikes": spikes,
        "batches": [(torch.tensor(spikes), torch.arange(12) % 10)] * 2,
    }
    exec(compile(code, "fine-tuning.md", "exec"), names)  # the code of the page
    stored = read_deployment(tmp_path / "network-loihi2").program
    assert stored.digest == names["tuned"].compiled().program.digest


def test_quantizing_does_not_load_torch():
    code = "import sys, snn_deploy.quantize; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_quick_benchmark_measures_every_method(tmp_path):
    output = tmp_path / "quick"
    script = ROOT / "benchmarks" / "quantization" / "run.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(script), "--quick", "--output", str(output)],
        env=environment,
        check=True,
        capture_output=True,
        timeout=900,
    )
    rows = json.loads(output.with_suffix(".json").read_text())
    methods = {row["method"] for row in rows}
    assert methods == {
        "max-abs", "2 sigma", "99th percentile", "ours", "ours, per channel", "fine-tuned"
    }  # fmt: skip
    assert "| 2 | ours |" in output.with_suffix(".md").read_text()


@pytest.mark.parametrize("compare", Compare)
@pytest.mark.parametrize(("fires", "most"), [(Fires.BINARY, 1), (Fires.COUNT, 1), (Fires.COUNT, 3)])
def test_the_spikes_of_a_membrane_are_those_of_a_loop_that_counts_thresholds(compare, fires, most):
    def count(v):
        greater = compare is Compare.GREATER
        reached = [v > 4 * n if greater else v >= 4 * n for n in range(1, most + 1)]
        return sum(reached)

    membranes = torch.arange(-9, 22, dtype=torch.float64)
    threshold = torch.tensor(4.0, dtype=torch.float64)
    sent = spikes(membranes, threshold, fires=fires, compare=compare, most=most)
    assert sent.tolist() == [count(v) for v in membranes.tolist()]
