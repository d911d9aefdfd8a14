"""Integers against real values: every cause is found where it alone was planted.

The network has weights and thresholds that are short binary fractions, so its integers send what
it sends. Then one thing in the program is changed, and the comparison must name it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from networks import random_inputs, random_network
from strategies import unchecked

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy import against
from snn_deploy.deploy.against import Compared, compare, of_network, prepared
from snn_deploy.deploy.alone import given as given_to
from snn_deploy.deploy.alone import run_real
from snn_deploy.deploy.as_stored import layer_of
from snn_deploy.deploy.causes import STORED, Cause
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.divergence import LayerDivergence
from snn_deploy.deploy.putting_back import put_back
from snn_deploy.ir import program as whole
from snn_deploy.ir import simulate as simulating
from snn_deploy.ir.arithmetic import Order, Overflow, Register
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Arithmetic,
    Between,
    Bias,
    Boundary,
    Chain,
    Floor,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Compare, Decode, During, Fires, Reads, ResetKind, State, Tabled
from snn_deploy.ir.program import Binary, Current, Program, Role
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import Options, compile_network
from snn_deploy.targets import find_target
from snn_deploy.targets.target import Rules

LOIHI2, CPU = find_target("loihi2"), find_target("cpu")
STEPS, SAMPLES = 30, 4
SEEDS = st.integers(0, 2**32 - 1)


def real(value):
    return np.asarray(value, np.float64)


def neurons(name, size, **fields):
    given = {
        "decay": real(1),
        "threshold": real(1),
        "compare": Compare.GREATER_EQUAL,
        "reset": Reset(kind=ResetKind.SUBTRACT, amount=real(1)),
        "floor": Floor(value=real(-0.5)),
        "biases": (Bias(value=real(np.arange(size) / 32)),),
        "initial": real(0.25),
    }
    return Population(name=name, shape=(size,), **{**given, **fields})


def network(a=None, *, seed=0, loop=False, **fields) -> Network:
    """Return two layers of integrate-and-fire neurons with weights of 1/32."""
    rng = np.random.default_rng(seed)

    def wire(source, target, post, pre, delay=0):
        weight = rng.integers(-12, 20, (post, pre)) / 32
        return Projection(
            name=f"{source}>{target}",
            source=source,
            target=target,
            map=Dense(weight=weight),
            delay=np.asarray(delay),
        )

    wires = [wire("in", "a", 8, 5), wire("a", "b", 4, 8)]
    if loop:
        wires.append(wire("b", "a", 8, 4, 3))
        wires.append(wire("a", "a", 8, 8, 2))
    return Network(
        name="net",
        inputs=(Input(name="in", shape=(5,)),),
        populations=(a or neurons("a", 8), neurons("b", 4)),
        projections=tuple(wires),
        outputs=(Output(name="out", population="b"),),
        **fields,
    )


def deployed(net: Network, program: Program, target=LOIHI2, encoding=None) -> Deployment:
    made = Deployment(
        program=program,
        target=target,
        encoding=encoding or Encoding(),
        nir=b"",
        pipeline=(),
        findings=(),
        layers=(),
        model_digest="",
        model_bytes=0,
    )
    made.__dict__["network"] = net
    return made


def data(seed=0, rate=0.4, samples=SAMPLES, steps=STEPS, size=5) -> Data:
    spikes = np.random.default_rng(seed).random((samples, steps, size)) < rate
    return Data.of((Values(name="in", values=spikes.astype(np.int64)),))


def compared(net: Network, program: Program, target=LOIHI2, given=None, encoding=None) -> Compared:
    chosen = data() if given is None else given
    return compare(deployed(net, program, target, encoding), chosen, of_network(net))


def layer(found: Compared, name: str) -> LayerDivergence:
    return next(one for one in found.layers if one.layer == name)


@cache
def exact(target=LOIHI2, **made) -> Program:
    """Return the program of `network(**made)`, which has exactly its numbers."""
    compiled = compile_network(network(**made), target)
    assert all(p.snr_db == np.inf for one in compiled.layers for p in one.projections)
    return compiled.program


def changed(program: Program, name: str, **fields) -> Program:
    """Return the program with other fields of a population or a projection."""
    return replace(
        program,
        populations=tuple(
            replace(p, **fields) if p.name == name else p for p in program.populations
        ),
        projections=tuple(
            replace(p, **fields) if p.name == name else p for p in program.projections
        ),
    )


def assert_no_difference(found: Compared) -> None:
    for one in found.layers:
        for way in (one.whole, one.alone):
            assert way.trains is not None
            assert (way.trains.differing, way.trains.mismatch, way.trains.identical) == (0, 0, 1)
            assert way.trains.ratio == 1
            assert way.first is None
            assert way.membranes.largest == 0
        assert (one.examined, one.causes) == (0, ())


@pytest.mark.parametrize("loop", [False, True], ids=["chain", "loop"])
@pytest.mark.parametrize("target", [LOIHI2, CPU], ids=lambda target: target.name)
def test_a_network_that_fits_exactly_shows_no_difference(target, loop):
    assert_no_difference(compared(network(loop=loop), exact(target, loop=loop), target))


def weights_of(program: Program, name: str) -> np.ndarray:
    return next(p for p in program.projections if p.name == name).map.numbers().copy()


def with_weights(program: Program, name: str, weight: np.ndarray) -> Program:
    return changed(program, name, map=Dense(weight=weight.astype(np.int32)))


def rounded_weights(program: Program) -> Program:
    weight = weights_of(program, "in>a")
    middle = (np.abs(weight) < np.abs(weight).max() / 2) & (weight != 0)
    return with_weights(program, "in>a", weight + 2 * middle)


def clipped_weights(program: Program) -> Program:
    weight = weights_of(program, "in>a")
    return with_weights(program, "in>a", np.minimum(weight, weight.max() // 2))


def higher_threshold(program: Program) -> Program:
    a = program.population("a")
    return changed(program, "a", threshold=np.asarray(a.threshold + 64))


def other_decay(program: Program) -> Program:
    return changed(program, "a", decay=np.asarray(3900, np.int32))


def other_bias(program: Program) -> Program:
    clock = next(p for p in program.projections if p.source == "clock" and p.target == "a")
    map_ = clock.map.with_numbers(clock.map.numbers() + np.int32(9))
    return changed(program, clock.name, map=map_)


def other_reset(program: Program) -> Program:
    amount = program.population("a").reset.amount
    reset = replace(program.population("a").reset, amount=np.asarray(amount - amount // 20))
    return changed(program, "a", reset=reset)


def hard_reset(program: Program) -> Program:
    reset = replace(
        program.population("a").reset, kind=ResetKind.VALUE, amount=np.zeros((), np.int32)
    )
    return changed(program, "a", reset=reset)


def other_floor(program: Program) -> Program:
    floor = program.population("a").floor
    assert floor is not None
    return changed(program, "a", floor=replace(floor, value=np.asarray(floor.value // 2)))


def other_initial(program: Program) -> Program:
    return changed(program, "a", initial=np.asarray(0, np.int32))


def greater(program: Program) -> Program:
    return changed(program, "a", compare=Compare.GREATER)


def longer_delay(program: Program) -> Program:
    wire = next(p for p in program.projections if p.name == "in>a")
    return changed(program, "in>a", delay=np.asarray(wire.delay + 1))


def narrow(program: Program) -> Program:
    """Return the program with a membrane that just cannot reach its threshold."""
    bits = int(program.population("a").threshold).bit_length()
    register = Register(bits=bits, overflow=Overflow.SATURATE)
    return replace(program, arithmetic=replace(program.arithmetic, membrane=register))


PLANTED: dict[Cause, tuple[Callable[[Program], Program], ...]] = {
    Cause.WEIGHT_ROUNDING: (rounded_weights,),
    Cause.WEIGHT_CLIPPING: (clipped_weights,),
    Cause.THRESHOLD: (higher_threshold,),
    Cause.DECAY: (other_decay,),
    Cause.BIAS: (other_bias,),
    Cause.RESET: (other_reset, hard_reset),
    Cause.FLOOR: (other_floor,),
    Cause.INITIAL: (other_initial,),
    Cause.COMPARISON: (greater,),
    Cause.DELAY: (longer_delay,),
    Cause.OVERFLOW: (narrow,),
}


@pytest.mark.parametrize(
    ("cause", "plant"),
    [(cause, plant) for cause, plants in PLANTED.items() for plant in plants],
    ids=lambda value: value.__name__ if callable(value) else value.value,
)
@pytest.mark.parametrize("loop", [False, True], ids=["chain", "loop"])
def test_a_cause_that_was_planted_alone_is_found(cause, plant, loop):
    found = compared(network(loop=loop), plant(exact(loop=loop)))
    a, b = layer(found, "a"), layer(found, "b")
    assert a.whole.first is not None
    assert a.whole.first.causes == (cause,)
    assert a.alone.first is not None
    assert a.alone.first.causes == (cause,)
    assert [c.cause for c in a.causes] == [cause]
    assert a.causes[0].repaired == a.examined > 0
    if cause is not Cause.OVERFLOW:  # all registers of the chip are narrow then
        assert b.whole.first is None or b.whole.first.causes == (Cause.UPSTREAM,)
        assert b.alone.first is None
        assert b.alone.trains is not None
        assert b.alone.trains.differing == 0


def test_a_layer_that_only_receives_other_spikes_has_no_cause_of_its_own():
    found = compared(network(), higher_threshold(exact()))
    b = layer(found, "b")
    assert b.whole.first is not None
    assert b.whole.first.causes == (Cause.UPSTREAM,)
    assert b.whole.first.cause == "upstream"
    assert (b.alone.first, b.examined, b.causes) == (None, 0, ())


def one_neuron(**fields) -> Network:
    """Return a neuron with two weights, of which the second is 1 and stays silent."""
    given = {
        "decay": real(1),
        "threshold": real(1),
        "compare": Compare.GREATER_EQUAL,
        "reset": Reset(kind=ResetKind.VALUE),
    }
    weight, arithmetic = fields.pop("weight", 0.5), fields.pop("arithmetic", Arithmetic.FLOAT64)
    return Network(
        name="one",
        inputs=(Input(name="in", shape=(2,)),),
        populations=(Population(name="a", shape=(1,), **{**given, **fields}),),
        projections=(
            Projection(name="in>a", source="in", target="a", map=Dense(weight=real([[weight, 1]]))),
        ),
        outputs=(Output(name="out", population="a", decode=Decode.MEMBRANE_END),),
        arithmetic=arithmetic,
    )


def ones(steps=20) -> Data:
    """Return one sample in which the first of two inputs sends in every step."""
    return Data.of((Values(name="in", values=np.tile([1, 0], (1, steps, 1))),))


def test_two_causes_of_which_neither_alone_is_enough_are_named_together():
    net = one_neuron()
    program = higher_threshold(compile_network(net, LOIHI2).program)
    weight = weights_of(program, "in>a")
    program = with_weights(program, "in>a", weight - [[2, 0]])
    found = layer(compared(net, program, given=ones()), "a")
    assert found.alone.first is not None
    first = found.alone.first
    assert first.causes == (Cause.SEVERAL, Cause.WEIGHT_ROUNDING, Cause.THRESHOLD)
    assert first.cause == "several together: weight rounding + threshold rounding"
    assert [(c.cause, c.repaired) for c in found.causes] == [(Cause.SEVERAL, 1)]


def test_two_causes_of_which_each_alone_is_enough_are_both_named():
    net = one_neuron(weight=0.34, threshold=real(1))
    program = compile_network(net, CPU).program
    unit = float(program.population("a").unit)
    wire = next(p for p in program.projections if p.name == "in>a")
    step = unit * 2**wire.shift
    # three times 0.34 reaches 1 and, with a margin of 0.02, only one of the two changes
    weight = weights_of(program, "in>a") - [[int(np.ceil(0.005 / step)), 0]]
    assert 3 * (weight[0, 0] * step) > 1 - 0.01
    program = with_weights(program, "in>a", weight)
    program = changed(program, "a", threshold=np.asarray(int(1.015 / unit), np.int32))
    found = layer(compared(net, program, CPU, given=ones()), "a")
    assert found.alone.first is not None
    assert found.alone.first.causes == (Cause.WEIGHT_ROUNDING, Cause.THRESHOLD)
    assert found.alone.first.cause == "weight rounding or threshold rounding"


def test_input_values_between_the_units_are_a_cause():
    encoding = Encoding(how=Encode.CURRENT, steps=30, unit=0.25, low=0, high=4)
    net = network()
    program = compile_network(net, LOIHI2, encoding=encoding).program
    values = np.random.default_rng(3).random((4, 5)) / 2
    given = Data.of((Values(name="in", values=values),))
    found = layer(compared(net, program, given=given, encoding=encoding), "a")
    assert found.alone.first is not None
    assert found.alone.first.causes == (Cause.INPUT,)
    assert [c.cause for c in found.causes] == [Cause.INPUT]
    rounded = Data.of((Values(name="in", values=np.rint(values * 4) / 4),))
    assert_no_difference(compared(net, program, given=rounded, encoding=encoding))


def test_a_state_that_is_rounded_in_every_step_is_a_cause():
    net = one_neuron(decay=real(0.5), threshold=real(1.25), weight=0.75, compare=Compare.GREATER)
    program = compile_network(net, CPU).program
    program = with_weights(program, "in>a", np.array([[3, 4]]))
    program = changed(program, "in>a", shift=0)
    program = changed(program, "a", threshold=np.asarray(5, np.int32), unit=Binary.of(0.25))
    found = layer(compared(net, program, CPU, given=ones()), "a")
    assert found.alone.first is not None
    first = found.alone.first
    # as trained 0.75, 1.125, 1.3125; in units of 1/4 3, 1 + 3, 2 + 3, ...
    assert (first.step, first.expected, first.got) == (2, 1, 0)
    assert (first.tested_expected, first.tested_got, first.threshold) == (1.3125, 1.25, 1.25)
    assert (first.membrane_expected, first.membrane_got, first.distance) == (0, 1.25, 0.0625)
    assert first.causes == (Cause.STATE_ROUNDING,)


def below_by_float32(times: int) -> bool:
    """Return whether that many tenths, added up, are less than their sum in float32 alone."""
    total, exact_total = np.float32(0), 0.0
    for _ in range(times):
        total, exact_total = total + np.float32(0.1), exact_total + 0.1
        if total >= np.float32(times / 10) or exact_total >= times / 10:
            break
    return bool(total < np.float32(times / 10) and exact_total >= times / 10)


def test_a_tie_that_only_floating_point_decides_is_told_from_rounding():
    times = next(n for n in range(3, 60) if below_by_float32(n))
    fields = {"weight": 0.1, "threshold": real(times / 10)}
    net = one_neuron(arithmetic=Arithmetic.FLOAT32, **fields)
    program = compile_network(one_neuron(**fields), CPU).program
    found = layer(compared(net, program, CPU, given=ones(times + 1)), "a")
    assert found.alone.first is not None
    assert (found.alone.first.step, found.alone.first.expected) == (times - 1, 0)
    assert found.alone.first.causes == (Cause.FLOATING_POINT,)


def test_a_layer_that_was_rewritten_to_another_is_told_from_rounding(monkeypatch):
    lower = one_neuron(threshold=real(0.75))
    monkeypatch.setattr(against, "prepared", lambda deployment: lower)
    program = compile_network(lower, LOIHI2).program
    found = layer(compared(one_neuron(weight=0.25), program, given=ones()), "a")
    assert found.alone.first is not None
    assert found.alone.first.causes == (Cause.REWRITING,)


def test_a_readout_tells_what_makes_most_of_its_error():
    net = one_neuron(fires=Fires.NEVER, reset=Reset(), decay=real(0.5))
    program = compile_network(net, LOIHI2).program
    exactly = layer(compared(net, program, given=ones()), "a")
    assert exactly.whole.trains is None
    assert exactly.whole.membranes.largest < 1e-3  # decays round toward zero
    weight = weights_of(program, "in>a")
    program = with_weights(program, "in>a", weight - [[8, 0]])
    found = layer(compared(net, program, given=ones()), "a")
    assert found.whole.membranes.rms > 0.01
    assert found.drifts[0].cause is Cause.WEIGHT_ROUNDING
    assert found.drifts[0].rms_without < 1e-3 < found.drifts[0].rms
    assert found.whole.first is None


def naive(net: Network, program: Program, given: Data) -> dict[str, dict[str, float]]:
    """Count by hand, sample by sample and step by step."""
    (values,) = given.arrays
    steps = values.values.shape[1]
    wanted = simulate(
        net, [Values(name=values.name, values=values.values.astype(float))], EVERYTHING
    )
    got = ReferenceBackend().run(program, [values], EVERYTHING)
    counted = {}
    for population in net.populations:
        lag = program.population(population.name).lag
        right = wanted[population.name].payload
        mine = got[population.name].payload[:, lag : lag + steps]
        wrong, first = 0, None
        for step in range(steps):
            for sample in range(len(mine)):
                differs = np.argwhere(mine[sample, step] != right[sample, step])
                wrong += len(differs)
                if len(differs) and first is None:
                    first = (step, sample, tuple(int(i) for i in differs[0]))
        counted[population.name] = {
            "differing": wrong,
            "expected": right.sum(),
            "got": mine.sum(),
            "active": np.count_nonzero(right),
            "identical": np.mean([np.array_equal(a, b) for a, b in zip(mine, right, strict=True)]),
            "first": first,
        }
    return counted


@settings(max_examples=6, phases=[Phase.generate])
@given(seed=SEEDS, bits=st.sampled_from([3, 5]))
def test_recorded_differences_are_those_that_a_naive_count_finds(seed, bits):
    rng = np.random.default_rng(seed)
    net = random_network(rng)
    options = Options(weight_bits=bits, search=False)
    program = compile_network(net, CPU, options=options).program
    (values,) = random_inputs(rng, net)
    given = Data.of((Values(name="in", values=values.values.astype(np.int64)),))
    found = compared(net, program, CPU, given=given)
    for name, counts in naive(net, program, given).items():
        one = layer(found, name).whole
        if net.population(name).fires is Fires.NEVER:
            assert one.trains is None
            continue
        assert one.trains is not None
        assert one.trains.differing == counts["differing"]
        assert (one.trains.expected, one.trains.got) == (counts["expected"], counts["got"])
        assert one.trains.identical == counts["identical"]
        if counts["active"]:
            assert one.trains.mismatch == counts["differing"] / (2 * counts["active"])
        where = None
        if one.first is not None:
            where = (one.first.step, one.first.sample, one.first.neuron)
            assert one.first.causes
        assert where == counts["first"]


@contextmanager
def watching(kept: list[np.ndarray]) -> Iterator[None]:
    """Keep the membranes that are compared with thresholds, step by step, [sample, *shape]."""
    fires = simulating._fires

    def watched(now, v):
        kept.append(v)
        return fires(now, v)

    with patch.object(simulating, "_fires", watched):
        yield


def ties(population: Population, membrane: np.ndarray) -> np.ndarray:
    """Return where a membrane is a threshold, or a number of them, but for the last digits."""
    thresholds = membrane / population.threshold
    return np.isclose(thresholds, np.rint(thresholds), rtol=1e-9, atol=1e-9)


@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])
@example(seed=315)  # a tie is moved, and what the neuron sends differs in all later steps
@given(seed=SEEDS)
def test_a_layer_with_everything_put_back_is_the_layer_as_trained(seed):
    rng = np.random.default_rng(seed)
    net = random_network(rng)
    with unchecked():
        program = compile_network(net, CPU, options=Options(search=False)).program
    ready = prepared(deployed(net, program, CPU))
    inputs = random_inputs(rng, net)
    free = simulate(net, inputs, EVERYTHING)
    sent = {p.name: p.payload for p in free.populations} | {v.name: v.values for v in inputs}
    for population in net.populations:
        one = layer_of(program, ready, population.name, CPU)
        assert one is not None
        trained = run_real(ready, population.name, sent)
        alone, received = put_back(one, STORED), given_to(one.sources, sent)
        membranes: list[np.ndarray] = []
        with watching(membranes):
            back = simulate(alone, received, EVERYTHING)[one.name]
        moved = trained.payload != back.payload  # scaling may move a tie
        apart = np.maximum.accumulate(moved, axis=1)
        alike = np.isclose(
            back.membrane * program.population(population.name).units,
            trained.membrane,
            rtol=1e-9,
            atol=1e-9,
        )
        assert np.all(alike | apart)
        first = apart & (np.cumsum(apart, axis=1) == 1)
        assert np.all(ties(one.trained, np.stack(membranes, axis=1))[first])


def test_samples_of_a_continuous_run_are_told_apart():
    boundary = Boundary(between=Between.CONTINUOUS, idle=3)
    net = network(boundary=boundary)
    program = higher_threshold(replace(exact(), boundary=boundary))
    found = layer(compared(net, program), "a").whole
    stream = np.pad(data().arrays[0].values, ((0, 0), (0, 3), (0, 0))).reshape(1, -1, 5)[:, :-3]
    wanted = simulate(net, [Values(name="in", values=stream.astype(float))], EVERYTHING)["a"]
    got = ReferenceBackend().run(program, [Values(name="in", values=stream)], EVERYTHING)["a"]
    wrong = (wanted.payload != got.payload[:, 1:][:, : stream.shape[1]])[0]
    step = int(wrong.any(axis=1).argmax())
    assert found.first is not None
    assert (found.first.sample, found.first.step) == divmod(step, STEPS + 3)
    assert found.trains is not None
    own = np.concatenate([wrong[n * (STEPS + 3) :][:STEPS] for n in range(SAMPLES)])
    assert (found.trains.samples, found.trains.differing) == (SAMPLES, own.sum())


def far(net: Network) -> Network:
    """Return the network with delays beyond those of a chip, one for each weight."""
    rng = np.random.default_rng(4)
    delays = {"in>a": rng.choice([0, 30, 80], (8, 5)), "a>b": np.asarray(70)}
    return replace(
        net,
        projections=tuple(replace(p, delay=np.asarray(delays[p.name])) for p in net.projections),
    )


@cache
def relayed() -> Program:
    return compile_network(far(network()), LOIHI2).program


def test_relays_and_clocks_are_no_difference():
    assert any(p.role is Role.RELAY for p in relayed().populations)
    assert_no_difference(compared(far(network()), relayed(), given=data(steps=110, samples=2)))


@pytest.mark.parametrize(
    ("cause", "fields"),
    [(Cause.WEIGHT_ROUNDING, "map"), (Cause.DELAY, "delay")],
    ids=str,
)
def test_a_cause_behind_a_relay_is_found(cause, fields):
    name = next(p.name for p in relayed().projections if p.name.startswith("in>a.relay"))
    wire = next(p for p in relayed().projections if p.name == name)
    weight = wire.map.numbers()
    small = (np.abs(weight) < 100) & (weight != 0)
    values = {
        "map": wire.map.with_numbers(weight + np.where(small, 6, 0).astype(np.int32)),
        "delay": np.asarray(np.maximum(1, wire.delay - 9)),
    }
    program = changed(relayed(), name, **{fields: values[fields]})
    found = compared(far(network()), program, given=data(steps=110, samples=2, rate=0.6))
    a, b = layer(found, "a"), layer(found, "b")
    assert a.alone.first is not None
    assert a.alone.first.causes == (cause,)
    assert [c.cause for c in a.causes] == [cause]
    assert b.alone.first is None


def test_membranes_are_compared_in_the_unit_and_from_the_zero_of_the_network():
    reset = Reset(kind=ResetKind.VALUE, amount=real(-0.5))
    leaky = neurons(
        "a", 8, decay=real(0.5), reset=reset, floor=None, gain=real(2), initial=real(-0.5)
    )
    net = network(a=leaky)
    program = compile_network(net, LOIHI2).program
    assert float(program.population("a").origin) == -0.5  # a hard reset to 0 on the chip
    found = layer(compared(net, program), "a")
    assert found.whole.membranes.largest < 1e-2
    found = layer(compared(net, higher_threshold(program)), "a")
    assert found.alone.first is not None
    first = found.alone.first
    assert first.causes == (Cause.THRESHOLD,)
    assert (first.threshold, first.expected, first.got) == (1.0, 1, 0)
    assert first.membrane_expected == -0.5
    assert 0 <= first.distance == first.tested_expected - 1 < 0.1
    assert first.tested_got == pytest.approx(first.tested_expected, abs=1e-2)


def test_a_membrane_that_reads_the_old_current_is_compared_as_trained():
    old = Synapse(decay=real(0.5), reads=Reads.OLD)
    net = network(a=neurons("a", 8, synapse=old, biases=()))
    program = compile_network(net, LOIHI2).program
    assert program.population("a").current.reads is Reads.NEW  # and every input a step later
    found = layer(compared(net, program), "a")
    assert found.alone.membranes.largest < 1e-2
    found = layer(compared(net, changed(program, "a", compare=Compare.GREATER)), "a")
    assert found.alone.first is not None
    assert found.alone.first.causes == (Cause.COMPARISON,)
    decay = Current(decay=np.asarray(1900, np.int32))
    found = layer(compared(net, changed(program, "a", current=decay)), "a")
    assert found.alone.first is not None
    assert found.alone.first.causes == (Cause.DECAY,)


def test_a_layer_that_was_rebuilt_is_compared_without_causes():
    program = higher_threshold(exact())
    wire = next(p for p in program.projections if p.name == "in>a")
    program = replace(
        program,
        projections=tuple(
            replace(p, name="other") if p is wire else p for p in program.projections
        ),
    )
    found = layer(compared(network(), program), "a")
    assert found.alone.first is not None
    assert found.alone.first.causes == ()
    assert found.alone.first.cause == "not separated"
    assert (found.examined, found.causes) == (0, ())


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run integers in the reference simulator, which has every feature of neurons."""
    monkeypatch.setattr(against, "find_backend", lambda name: ReferenceBackend())


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("loop", [False, True], ids=["chain", "loop"])
def test_a_refractory_time_that_was_planted_is_found(loop):
    program = changed(exact(loop=loop), "a", refractory=Refractory(steps=2))
    a = layer(compared(network(loop=loop), program), "a")
    assert a.alone.first is not None
    assert a.alone.first.causes == (Cause.TIMES,)
    assert [c.cause for c in a.causes] == [Cause.TIMES]


def many_sided() -> Population:
    """Return neurons with two currents in a row, tables, a window and a refractory time."""
    chain = Chain(gain=real(0.5))
    return neurons(
        "a",
        8,
        synapse=Synapse(decay=real(0), into_membrane=0),
        further=(Synapse(decay=real(1), chain=chain, into_membrane=-1),),
        fires=Fires.TERNARY,
        lower=real(-1.5),
        refractory=Refractory(steps=2, during=During.HELD),
        window=Window(first=2, behind=25),
        restart=Restart(interval=10, offset=3),
        tables=(
            Table(what=Tabled.THRESHOLD, rows=real([0.75, 1.25]), start=4, repeats=True),
            Table(what=Tabled.BIAS, into=State.MEMBRANE, rows=real([0.25]), start=1),
            Table(what=Tabled.GAIN, into=State.CURRENT, rows=real([2, 1, 1.5]), repeats=True),
        ),
        biases=(Bias(value=real(0.125), waits=True),),
        floor=None,
    )


def whole_form(program: Program, scale: int, period: int, lag: int) -> whole.Population:
    """Return `many_sided` in integers, `scale` to one, in the steps of a program."""

    def number(value):
        return np.asarray(np.rint(np.asarray(value) * scale), np.int32)

    def step(own):
        return lag + own * period

    one = 1 << program.arithmetic.decay_bits
    chain = whole.Chain(multiplier=np.asarray(one // 2, np.int32))
    a = many_sided()
    return whole.Population(
        name="a",
        shape=(8,),
        decay=np.asarray(one, np.int32),
        current=Current(decay=np.zeros((), np.int32), into_membrane=0),
        further=(Current(decay=np.asarray(one, np.int32), chain=chain, into_membrane=-1),),
        gains=(whole.Gain(into=State.CURRENT, multiplier=np.asarray(4, np.int32), shift=2),),
        fires=Fires.TERNARY,
        threshold=number(a.threshold),
        lower=number(a.lower),
        compare=a.compare,
        reset=whole.Reset(kind=a.reset.kind, amount=number(1)),
        refractory=a.refractory,
        window=Window(first=step(2), behind=step(25)),
        restart=Restart(interval=10 * period, offset=step(3) % (10 * period)),
        tables=(
            Table(what=Tabled.THRESHOLD, rows=number([0.75, 1.25]), start=step(4), repeats=True),
            Table(what=Tabled.BIAS, into=State.MEMBRANE, rows=number([0.25]), start=step(1)),
            Table(
                what=Tabled.GAIN, into=State.CURRENT, rows=np.array([8, 4, 6], np.int32),
                start=step(0), repeats=True,
            ),
        ),
        biases=(whole.Bias(value=number(0.125), start=step(0), waits=True),),
        initial=number(a.initial),
        lag=lag,
        unit=Binary.of(1 / scale),
    )  # fmt: skip


def by_hand(period: int, lag: int) -> tuple[Network, Program]:
    """Return a layer of these neurons, and the same in integers."""
    base = one_layer()
    program = compile_network(base, CPU).program
    net = replace(base, populations=(many_sided(),))
    wire = program.projections[0]
    scale = 2**10
    weight = np.asarray(np.rint(base.projections[0].map.numbers() * scale / 2**5), np.int32)
    wire = replace(
        wire, map=Dense(weight=weight), shift=5, delay=np.asarray(2 * period + lag, np.int32)
    )
    made = replace(
        program,
        populations=(whole_form(program, scale, period, lag),),
        projections=(wire,),
        period=period,
    )
    return net, made


def one_layer() -> Network:
    weight = np.random.default_rng(2).integers(-20, 20, (8, 5)) / 32
    wire = Projection(
        name="in>a", source="in", target="a", map=Dense(weight=weight), delay=np.asarray(2)
    )
    return Network(
        name="one layer",
        inputs=(Input(name="in", shape=(5,)),),
        populations=(neurons("a", 8),),
        projections=(wire,),
        outputs=(Output(name="out", population="a"),),
    )


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize(("period", "lag"), [(1, 0), (1, 3), (3, 0), (3, 4)])
def test_neurons_with_every_feature_are_compared_in_the_networks_own_steps(
    monkeypatch: pytest.MonkeyPatch, period: int, lag: int
) -> None:
    net, program = by_hand(period, lag)
    monkeypatch.setattr(against, "prepared", lambda deployment: deployment.network)
    found = compared(net, program, CPU)
    trains = layer(found, "a").whole.trains
    assert trains is not None
    assert trains.expected < trains.samples * STEPS * 8  # some are -1
    assert_no_difference(found)
    a = program.population("a")
    table = replace(a.tables[0], rows=a.tables[0].rows + 8)
    for cause, fields in (
        (Cause.THRESHOLD, {"tables": (table, *a.tables[1:])}),
        (Cause.GAIN, {"further": (replace(a.further[0], chain=a_chain(a, 0.46)),)}),
        (Cause.TIMES, {"window": Window(first=lag + 6 * period, behind=lag + 20 * period)}),
        (Cause.BIAS, {"biases": (replace(a.biases[0], waits=False),)}),
    ):
        one = layer(compared(net, changed(program, "a", **fields), CPU), "a")
        assert one.alone.first is not None, cause
        assert one.alone.first.causes == (cause,)


def a_chain(population: whole.Population, gain: float) -> whole.Chain:
    chain = population.further[0].chain
    assert chain is not None
    return replace(chain, multiplier=np.asarray(int(chain.multiplier * 2 * gain), np.int32))


def test_a_layer_alone_gets_the_membranes_of_a_filter_as_the_program_sends_them():
    a = neurons(
        "a",
        8,
        fires=Fires.GRADED,
        decay=real(0),
        reset=Reset(),
        floor=None,
        biases=(),
        initial=real(0),
    )
    net = network(a)
    found = compared(net, compile_network(net, CPU).program, CPU)
    assert layer(found, "a").whole.membranes.largest == 0
    behind = layer(found, "b")
    assert behind.whole.trains is not None
    assert behind.whole.trains.expected > 50
    assert behind.alone.trains == behind.whole.trains


def test_what_enters_a_current_that_decays_last_counts_as_what_is_left_of_it():
    rules = Rules(order=Order.ADD_FIRST, source="a test")
    target = replace(CPU, states=replace(CPU.states, rules=rules))
    a = neurons(
        "a", 8, synapse=Synapse(decay=real(0.5)), biases=(Bias(value=real(1), into=State.CURRENT),)
    )
    net = network(a)
    program = compile_network(net, target).program
    found = layer_of(program, prepared(deployed(net, program, target)), "a", target)
    assert found is not None
    (pair,) = found.pairs
    np.testing.assert_array_equal(pair.trained.map.numbers(), pair.stored.map.numbers())
    (trained,), (stored,) = found.trained.biases, found.stored.biases
    np.testing.assert_allclose(trained.value, stored.value, rtol=0.01)
