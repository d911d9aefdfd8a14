"""All that happens at stated times happens later by the lag, and slower by the dilation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import LOIHI, Sizes, Trait, random_program, unchecked

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import LoopTooShortError
from snn_deploy.ir.checks import LARGEST
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import CURRENTS, Decode, During, Fires, ResetKind, State, Tabled
from snn_deploy.ir.presentation import dilated
from snn_deploy.ir.program import Bias, Gain, Role
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import EVERYTHING
from snn_deploy.quantize.biases import LowerBiases
from snn_deploy.quantize.relays import AddRelays
from snn_deploy.quantize.retime import Retime
from snn_deploy.targets import find_target

LOIHI2 = find_target("loihi2")
SAME_STEP = LOIHI.including(Trait.ZERO_DELAY, Trait.CURRENT_BIAS, Trait.LATE_BIAS).without(
    Trait.CLOCK, Trait.RELAY
)
SMALL = Sizes(populations=3, neurons=5, extent=4, samples=1, steps=14)
SEEDS = st.integers(0, 2**32 - 1)


def number(value):
    return np.asarray(value, np.int32)


def with_times(rng, population):
    """Return the population with some of all that happens at stated times."""
    shape = population.shape
    chosen = {}
    if rng.random() < 0.3:
        chosen["window"] = Window(first=int(rng.integers(0, 5)), behind=int(rng.integers(5, 15)))
    if rng.random() < 0.3:
        interval = int(rng.integers(2, 8))
        chosen["restart"] = Restart(interval=interval, offset=int(rng.integers(0, interval)))
    if rng.random() < 0.3:
        steps = None if rng.random() < 0.3 else int(rng.integers(1, 4))
        clamps = population.reset.kind is ResetKind.VALUE
        during = list(During)[int(rng.integers(3 if clamps else 2))]
        chosen["refractory"] = Refractory(steps=steps, during=during)
    tables, gains = [], []
    fires = population.fires is not Fires.NEVER
    for what in (Tabled.THRESHOLD, Tabled.BIAS, Tabled.GAIN, Tabled.PAYLOAD):
        if rng.random() < 0.3 and (fires or what in (Tabled.BIAS, Tabled.GAIN)):
            rows = int(rng.integers(1, 5))
            values = {
                Tabled.THRESHOLD: 64 * rng.integers(1, 99, (rows, *shape)),
                Tabled.BIAS: 64 * rng.integers(-9, 10, (rows, *shape)),
                Tabled.GAIN: rng.integers(0, 4, (rows, *shape)),
                Tabled.PAYLOAD: rng.integers(1, 3, (rows, *shape)),
            }[what]
            acts = what in (Tabled.BIAS, Tabled.GAIN)
            into = population.entry if acts else None
            start, repeats = int(rng.integers(0, 6)), bool(rng.integers(2))
            tables.append(Table(what=what, rows=number(values), into=into, start=start,
                                repeats=repeats))  # fmt: skip
            if what is Tabled.GAIN:
                gains.append(Gain(into=into, multiplier=number(3), shift=1))
    biases = [*population.biases]
    for into in (State.MEMBRANE, *CURRENTS[: len(population.currents)]):
        if rng.random() < 0.3:
            value, start = number(64 * rng.integers(-5, 20, shape)), int(rng.integers(0, 5))
            waits = bool(rng.random() < 0.3)
            biases.append(Bias(value=value, into=into, start=start, waits=waits))
    return replace(population, tables=tuple(tables), gains=tuple(gains), biases=tuple(biases),
                   **chosen)  # fmt: skip


def program_with_times(seed):
    """Return a program without lags, which acts as a network does, and its inputs."""
    rng = np.random.default_rng(seed)
    program, inputs = random_program(rng, SAME_STEP.without(Trait.SIGNED_INPUT), SMALL)
    populations = tuple(
        replace(with_times(rng, p), lag=0) if p.role is Role.NEURONS else replace(p, lag=0)
        for p in program.populations
    )
    return replace(program, populations=populations), inputs


def run(program, inputs):
    with unchecked():
        return ReferenceBackend().run(program, dilated(inputs, program.period), EVERYTHING)


@settings(max_examples=40)
@given(seed=SEEDS, period=st.sampled_from([None, 1, 2, 5]), high=st.integers(2, 12))
def test_every_state_is_that_of_the_network_later_by_the_lag(seed, period, high):
    program, inputs = program_with_times(seed)
    target = replace(LOIHI2, delay=replace(LOIHI2.delay, high=high))
    try:
        late = Retime(target=target, dilation=period)(program).graph
    except LoopTooShortError:
        assume(False)
    done = AddRelays(target=target)(LowerBiases(target=target)(late).graph).graph
    steps = inputs[0].values.shape[1]
    wanted, got = run(program, inputs), run(done, inputs)
    assert all(p.delay.min() >= 1 and p.delay.max() <= high
               for p in done.projections if p.delay.size)  # fmt: skip
    for population in program.populations:
        own = slice(done.population(population.name).lag, None, done.period)
        for state in population.states:
            kept = got[population.name].states[state][:, own][:, :steps]
            assert np.array_equal(kept, wanted[population.name].states[state]), (
                population.name,
                state,
            )


def test_times_are_those_of_the_chip():
    program, _ = program_with_times(0)
    base = replace(
        program.populations[0],
        window=Window(first=2, behind=LARGEST),
        restart=Restart(interval=4, offset=3),
        refractory=Refractory(steps=2),
        tables=(Table(what=Tabled.THRESHOLD, rows=number([[64]]), start=3),),
        biases=(Bias(value=number(64), start=1),),
    )
    source = program.projections[0]
    alone = replace(
        program,
        populations=(base,),
        projections=(replace(source, target=base.name, delay=number(0)),),
        outputs=(Output(name="out", population=base.name, decode=Decode.MEMBRANE_END),),
    )
    late = Retime(target=LOIHI2, dilation=3)(alone).graph.populations[0]
    assert (late.lag, late.biases[0].start, late.tables[0].start) == (1, 4, 10)
    assert late.window == Window(first=7, behind=LARGEST)
    assert late.restart == Restart(interval=12, offset=10)
    assert late.refractory == Refractory(steps=2)  # in steps in which the neuron acts


@pytest.mark.parametrize("waits", [True, False])
def test_a_bias_beside_one_that_waits_for_arrivals_does_not_arrive(waits):
    program, _ = program_with_times(0)
    biases = (
        Bias(value=number(64), into=program.populations[0].entry, start=2),
        Bias(value=number(64), into=program.populations[0].entry, waits=waits),
    )
    plain = [replace(p, biases=(), gains=(), tables=()) for p in program.populations]
    plain[0] = replace(plain[0], biases=biases)
    late = Retime(target=LOIHI2)(replace(program, populations=tuple(plain))).graph
    lowered = LowerBiases(target=LOIHI2)(late).graph
    assert len(lowered.population(plain[0].name).biases) == (2 if waits else 0)
