"""The hazards of published training methods: each has a test that fails without its guard.

What is here, and what stands elsewhere:

- v on the threshold, > and >=: quantize/test_to_program.py: weights_that_fit_give_the_spikes;
  backends/test_reference.py: a_membrane_on_the_threshold
- a reset amount of its own, late or early: here
- fire first, one step per layer: here
- step 0: a bias that acts once, another initial state for each neuron: here; feedback whose bias
  waits: frontends/test_graphs.py: a_sinabs_feedback_bias_waits; backends/test_features.py:
  a_waiting_bias_starts
- depth skew: quantize/test_to_program.py: a_deep_chain_with_biases; quantize/test_retime_times.py;
  branches of other depth: quantize/test_retime_residual.py
- padding behind a normalisation: frontends/test_maps.py: a_bias_behind_a_padded_convolution;
  frontends/test_layers.py: "BatchNorm2d before padded Conv2d"
- count_include_pad, AdaptiveAvgPool to more: frontends/test_layers.py: "means without the padding",
  "AdaptiveAvgPool2d to more"
- standardised weights: frontends/test_spikingjelly.py: "WSLinear", "WSConv2d"; of another formula:
  here; restricted weights: frontends/test_layers.py: weights_are_those_that_a_parametrised
- batch normalisation: eps, running statistics, no affine: frontends/test_layers.py; through time:
  refused, frontends/test_spikingjelly.py: a_class_that_no_chip_could_follow; negative factors: here
- thresholds below zero: quantize/test_to_program.py: a_threshold_that_is_too_low; of zero: here
- rounding of halves: backends/test_features.py: halves_round_to_the_even, a_graded_payload;
  frontends/test_sinabs.py: a_rounding_rectifier; of weights and of delays: here
- decoders: a weighted count is not a count, first spikes tie: here
- overflow: quantize/test_ranges.py, test_ranges_tight.py; backends/test_reference.py
- lazy leak, resting points: here; silent neurons: backends/test_event.py:
  a_silent_population_is_not_skipped
- early exit: no decoder leaves early; that a prefix is a run of its own: here
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from strategies import ANYTHING, random_program, unchecked

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.frontends import Overrides, load
from snn_deploy.ir import program as whole
from snn_deploy.ir.codecs import decode, predict
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
)
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Table
from snn_deploy.ir.trace import EVERYTHING, PopulationTrace, Trace, Values
from snn_deploy.quantize import compile_network
from snn_deploy.quantize.rounding import round_weights
from snn_deploy.targets import find_target

LOIHI2, CPU = find_target("loihi2"), find_target("cpu")
TARGETS = pytest.mark.parametrize("target", [LOIHI2, CPU], ids=["loihi2", "cpu"])
STEPS = 40


def real(number: object) -> np.ndarray:
    return np.asarray(number, np.float64)


def chain(*populations: Population, delay: int = 0) -> Network:
    """Return an input of four values and populations in a row; weights are few-bit fractions."""
    rng = np.random.default_rng(3)
    names = ["in", *(p.name for p in populations)]
    sizes = [4, *(p.size for p in populations)]
    ways = [
        Projection(
            name=target,
            source=source,
            target=target,
            map=Dense(weight=rng.integers(-12, 25, (post, pre)) / 32),
            delay=np.asarray(delay, np.int32),
        )
        for (source, target), (pre, post) in zip(pairwise(names), pairwise(sizes), strict=True)
    ]
    return Network(
        name="hazard",
        inputs=(Input(name="in", shape=(4,)),),
        populations=populations,
        projections=tuple(ways),
        outputs=(Output(name="y", population=names[-1]),),
    )


def neurons(name: str = "n", **fields: object) -> Population:
    """Return six neurons without leak, exact in integers."""
    standard = {
        "decay": real(1),
        "threshold": real(1),
        "compare": Compare.GREATER_EQUAL,
        "reset": Reset(kind=ResetKind.SUBTRACT, amount=real(1)),
    }
    return Population(name=name, shape=(6,), **(standard | fields))


def spikes_in() -> tuple[Values, ...]:
    rng = np.random.default_rng(8)
    return (Values(name="in", values=(rng.random((4, STEPS, 4)) < 0.4).astype(np.int32)),)


def real_spikes(network: Network, name: str) -> np.ndarray:
    reals = tuple(replace(v, values=v.values.astype(np.float64)) for v in spikes_in())
    return simulate(network, reals, EVERYTHING)[name].states[State.PAYLOAD]


def whole_spikes(network: Network, name: str, target=LOIHI2) -> np.ndarray:
    """Return the spikes of the compiled program in the population's own steps."""
    with unchecked():
        program = compile_network(network, target).program
        trace = ReferenceBackend().run(program, spikes_in(), EVERYTHING)
    lag = program.population(name).lag
    return trace[name].states[State.PAYLOAD][:, lag : lag + STEPS]


def assert_same_spikes(network: Network, name: str, target=LOIHI2) -> np.ndarray:
    with unchecked():
        wanted = real_spikes(network, name)
    assert wanted.any()
    assert np.array_equal(whole_spikes(network, name, target), wanted)
    return wanted


# -- resets ---------------------------------------------------------------------------------------

RESETS = [
    Reset(kind=kind, amount=real(amount), when=when)
    for kind, amount in ((ResetKind.SUBTRACT, 0.25), (ResetKind.SUBTRACT, 1), (ResetKind.VALUE, 0))
    for when in (When.NOW, When.NEXT)
]


@TARGETS
def test_a_reset_keeps_its_own_amount_and_time(target) -> None:
    leaky = [neurons(reset=reset, decay=real(0.5), threshold=real(0.25)) for reset in RESETS]
    trains = [assert_same_spikes(chain(population), "n", target) for population in leaky]
    for first in range(len(trains)):
        for second in range(first):
            assert not np.array_equal(trains[first], trains[second])


@TARGETS
def test_layers_that_fire_first_are_a_step_apart_and_no_more(target) -> None:
    wanted = assert_same_spikes(chain(neurons("a"), neurons("b"), delay=1), "b", target)
    at_once = real_spikes(chain(neurons("a"), neurons("b")), "b")
    assert np.array_equal(wanted[:, 2:], at_once[:, :-2])
    assert not np.array_equal(wanted, at_once)
    with unchecked():
        program = compile_network(chain(neurons("a"), neurons("b"), delay=1), target).program
    assert program.lag == 0


# -- step 0 ---------------------------------------------------------------------------------------


@TARGETS
def test_a_bias_that_acts_once_acts_once_in_the_first_step_of_its_layer(target) -> None:
    once = Table(what=Tabled.BIAS, into=State.MEMBRANE, rows=real([[0.75], [0.0]]))
    network = chain(neurons("a"), neurons("b", tables=(once,)))
    wanted = assert_same_spikes(network, "b", target)
    never = replace(network, populations=(neurons("a"), neurons("b")))
    assert not np.array_equal(wanted, real_spikes(never, "b"))


@TARGETS
def test_an_initial_state_of_each_neuron_waits_for_the_first_step_of_its_layer(target) -> None:
    initial = real([0.75, -0.5, 0.25, 0.0, -1.0, 0.5])
    network = chain(neurons("a"), neurons("b", initial=initial, decay=real(0.5)))
    wanted = assert_same_spikes(network, "b", target)
    at_rest = replace(network, populations=(neurons("a"), neurons("b", decay=real(0.5))))
    assert not np.array_equal(wanted, real_spikes(at_rest, "b"))


# -- thresholds and rounding ----------------------------------------------------------------------


@TARGETS
def test_a_threshold_of_zero_is_one(target) -> None:
    zero = neurons(threshold=real(0), compare=Compare.GREATER, reset=Reset(kind=ResetKind.VALUE))
    wanted = assert_same_spikes(chain(zero), "n", target)
    assert not wanted.all()


def test_a_weight_of_half_a_step_rounds_to_the_even_one() -> None:
    halves = np.array([[0.5, 1.5, 2.5, -0.5, -1.5]])
    kept, clipped = round_weights(halves, 1.0, CPU.weights.mixed)
    assert kept.tolist() == [[0, 2, 2, 0, -2]]
    assert clipped == 0


def test_a_delay_of_half_a_step_rounds_to_the_even_one_and_is_told() -> None:
    nir = pytest.importorskip("nir")
    nodes = {
        "input": nir.Input(input_type=np.array([3])),
        "late": nir.Delay(delay=np.array([2.5, 3.5, 4.0])),
        "if": nir.IF(r=np.ones(3), v_threshold=np.ones(3), v_reset=np.zeros(3)),
        "output": nir.Output(output_type=np.array([3])),
    }
    graph = nir.NIRGraph(nodes=nodes, edges=list(pairwise(nodes)), type_check=False)
    imported = load(graph, dialect="nir", overrides=Overrides(dt=1.0))
    assert imported.network.projections[0].delay.tolist() == [2, 4, 4]
    assert "delays moved by up to 0.5 steps" in str(imported.findings)


# -- decoders -------------------------------------------------------------------------------------


@TARGETS
def test_a_weighted_count_is_not_a_count(target) -> None:
    rows = np.where(np.arange(STEPS) < STEPS // 2, 1.0, -1.0).reshape(-1, 1)
    weighted = chain(neurons(tables=(Table(what=Tabled.PAYLOAD, rows=rows),)))
    assert_same_spikes(weighted, "n", target)
    program = compile_network(weighted, target).program
    trace = ReferenceBackend().run(program, spikes_in(), EVERYTHING)["n"]
    answer = decode(trace, Decode.COUNT, program.lag, STEPS)
    assert np.array_equal(answer, real_spikes(weighted, "n").sum(axis=1))
    plain = real_spikes(chain(neurons()), "n")
    assert np.array_equal(answer, (plain * rows).sum(axis=1))
    assert not np.array_equal(np.sign(answer), np.sign(plain.sum(axis=1)))


def test_of_first_spikes_in_one_step_the_lowest_neuron_answers_and_silence_never() -> None:
    payload = np.zeros((3, 5, 3), np.int32)
    payload[0, 2, 1:] = 1  # two at once
    payload[1, 4, 2] = 3  # in the very last step, beside silence
    trace = PopulationTrace(
        name="n",
        events=(payload != 0).sum(axis=1),
        spikes=payload.sum(axis=1),
        states={State.PAYLOAD: payload},
    )
    assert predict(decode(trace, Decode.FIRST_SPIKE, 0, 5)).tolist() == [1, 2, 0]


# -- leak -----------------------------------------------------------------------------------------


def decaying(multiplier: int) -> whole.Program:
    """Return neurons that leak and add up, and fire far above."""
    return whole.Program(
        name="leak",
        target="cpu",
        arithmetic=LOIHI2.arithmetic,
        inputs=(whole.Input(name="in", shape=(2,), low=-5000, high=5000),),
        populations=(
            whole.Population(
                name="n",
                shape=(2,),
                decay=np.asarray(multiplier, np.int32),
                threshold=np.asarray(8000, np.int32),
                reset=whole.Reset(kind=ResetKind.VALUE),
            ),
        ),
        projections=(
            whole.Projection(
                name="w", source="in", target="n", map=Dense(weight=np.eye(2, dtype=np.int32))
            ),
        ),
        outputs=(Output(name="y", population="n"),),
    )


@pytest.mark.parametrize("backend", [ReferenceBackend(), EventBackend()], ids=lambda b: b.name)
@pytest.mark.parametrize("multiplier", [3891, 4095, 4055])
def test_a_leak_is_taken_step_by_step_and_ends_at_zero_on_both_sides(
    backend: Backend, multiplier: int
) -> None:
    steps = 600
    values = np.zeros((1, steps, 2), np.int32)
    values[0, 0], values[0, -1] = (5000, -5000), (1, -1)
    trace = backend.run(decaying(multiplier), (Values(name="in", values=values),), EVERYTHING)
    v = trace["n"].states[State.MEMBRANE][0]
    expected = [5000]
    for _ in range(steps - 2):
        expected.append(expected[-1] * multiplier >> 12)
    assert v[:-1, 0].tolist() == expected
    assert v[:-1, 1].tolist() == [-x for x in expected]
    at_once = [int(5000 * (multiplier / 4096) ** k) for k in range(steps - 1)]
    assert expected != at_once
    if multiplier < 4000:
        assert v[-1].tolist() == [1, -1]


# -- prefixes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [ReferenceBackend(), EventBackend()], ids=lambda b: b.name)
def test_a_run_that_ends_early_is_the_beginning_of_the_whole_run(backend: Backend) -> None:
    for seed in range(12):
        program, inputs = random_program(np.random.default_rng(seed), ANYTHING)
        early = tuple(replace(v, values=v.values[:, : v.values.shape[1] // 2]) for v in inputs)
        with unchecked():
            short = backend.run(program, early, EVERYTHING)
            long = backend.run(program, inputs, EVERYTHING)
        steps = early[0].values.shape[1]
        assert_begins(long, short, steps)


def assert_begins(long: Trace, short: Trace, steps: int) -> None:
    for population in short.populations:
        for state, values in population.states.items():
            found = long[population.name].states[state][:, :steps]
            assert np.array_equal(values[:, :steps], found), population.name


# -- layers of torch ------------------------------------------------------------------------------


@pytest.mark.torch
def test_a_normalisation_with_negative_factors_keeps_the_spikes() -> None:
    torch = pytest.importorskip("torch")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6, eps=0.0), neuron.IFNode()
    ).eval()
    rng = np.random.default_rng(1)

    def dyadic(low: int, high: int, *shape: int):
        return torch.tensor(rng.integers(low, high, shape) / 8).float()

    net[0].weight.data, net[0].bias.data = dyadic(-6, 9, 6, 4), dyadic(-2, 3, 6)
    net[1].weight.data = torch.tensor([-1.5, 0.75, -0.25, 1.0, -1.0, 0.5])
    net[1].bias.data, net[1].running_mean.data = dyadic(0, 4, 6), dyadic(-3, 4, 6)
    net[1].running_var.data = torch.tensor([1.0, 4.0, 0.25, 1.0, 4.0, 1.0])
    network = load(net, sample_shape=(4,)).network
    (given,) = spikes_in()
    with torch.no_grad():
        steps = [net(torch.tensor(given.values[:, t]).float()).numpy() for t in range(STEPS)]
    theirs = np.stack(steps, axis=1)
    (name,) = (p.name for p in network.populations)
    (entry,) = (i.name for i in network.inputs)
    reals = (Values(name=entry, values=given.values.astype(np.float64)),)
    ours = simulate(network, reals, EVERYTHING)[name].states[State.PAYLOAD]
    assert np.array_equal(ours, theirs)
    assert 0.05 < theirs[..., [0, 2, 4]].mean() < 0.95


@pytest.mark.torch
def test_a_layer_of_the_users_with_a_known_name_is_not_read_as_the_known_one() -> None:
    torch = pytest.importorskip("torch")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")

    def standardised(weight):
        centred = weight - weight.mean(dim=1, keepdim=True)
        return centred / (centred.std(dim=1, keepdim=True) + 0.25)

    class WSLinear(torch.nn.Linear):
        """Not SpikingJelly's, which divides by sqrt(variance * sources + eps)."""

        def forward(self, x):
            return torch.nn.functional.linear(x, standardised(self.weight), self.bias)

    net = torch.nn.Sequential(WSLinear(4, 6), neuron.IFNode())
    (way,) = load(net, sample_shape=(4,)).network.projections
    own = standardised(net[0].weight).detach().numpy()
    assert np.allclose(way.map.numbers(), own, rtol=1e-6)
