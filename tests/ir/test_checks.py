"""Each thing that a network or a program cannot state is refused; the last that it can is not."""

import dataclasses

import numpy as np
import pytest

from snn_deploy.errors import DeployError
from snn_deploy.ir import network, program
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register, Sums
from snn_deploy.ir.checks import LARGEST
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.neuron import (
    Decode,
    During,
    Fires,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.timing import Refractory, Restart, Table, Window

KINDS = (network, program)
WIDE = Register(bits=32, overflow=Overflow.SATURATE_FULL)
RULES = Arithmetic(current=WIDE, membrane=WIDE, decay_bits=12)


def numbers(kind, *values):
    return np.array(values, np.float64 if kind is network else np.int32)


def one(kind):
    return numbers(kind, 1)[0, ...]


def neurons(kind, **changes):
    return kind.Population(**{"name": "n", "shape": (2,), "decay": one(kind), **changes})


def current(kind, **changes):
    made = kind.Synapse if kind is network else kind.Current
    return made(decay=one(kind), **changes)


def with_currents(kind, *currents, **changes):
    first = "synapse" if kind is network else "current"
    return neurons(kind, **{first: currents[0]}, further=currents[1:], **changes)


def chain(kind):
    factor = "gain" if kind is network else "multiplier"
    return kind.Chain(**{factor: one(kind)}, reads=Reads.NEW)


def table(kind, what=Tabled.THRESHOLD, **changes):
    return Table(what=what, rows=numbers(kind, 3, 4), **changes)


def refusal(make, *arguments, **given):
    with pytest.raises(DeployError) as caught:
        make(*arguments, **given)
    return str(caught.value)


TIMES = {
    "a refractory period is 1 to 2147483647 steps": (
        {"refractory": Refractory(steps=0)},
        {"refractory": Refractory(steps=2**31)},
    ),
    "a window from step -1 to 3": ({"window": Window(first=-1, behind=3)},),
    "a window from step 4 to 3": ({"window": Window(first=4, behind=3)},),
    "a window from step 0 to 2147483648": ({"window": Window(first=0, behind=2**31)},),
    "a restart in steps -1 of 3": ({"restart": Restart(interval=3, offset=-1)},),
    "a restart in steps 3 of 3": ({"restart": Restart(interval=3, offset=3)},),
    "a restart in steps 0 of 2147483648": ({"restart": Restart(interval=2**31)},),
    "a membrane is clamped to the value it is reset to": (
        {"refractory": Refractory(steps=2, during=During.CLAMPED)},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", TIMES)
def test_times_that_cannot_be_are_refused(kind, message):
    for given in TIMES[message]:
        assert refusal(neurons, kind, **given) == f"error[SNN207]: {message}\n  at: n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_times_can_be_stated(kind):
    made = neurons(
        kind,
        refractory=Refractory(steps=LARGEST, during=During.CLAMPED),
        window=Window(first=LARGEST, behind=LARGEST),
        restart=Restart(interval=LARGEST, offset=LARGEST - 1),
        reset=kind.Reset(kind=ResetKind.VALUE),
        biases=(kind.Bias(value=one(kind), start=LARGEST),),
        tables=(table(kind, start=LARGEST),),
    )
    assert made.refractory.steps == 2147483647
    shortest = neurons(
        kind,
        refractory=Refractory(steps=1),
        window=Window(first=0, behind=0),
        restart=Restart(interval=1, offset=0),
    )
    assert shortest.restart.interval == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_neuron_tested_again_is_binary_and_subtracts(kind):
    def reset(how):
        return kind.Reset(kind=how, when=When.RETESTED)

    told = "error[SNN207]: only a binary neuron whose spike subtracts can be tested again\n  at: n"
    assert refusal(neurons, kind, reset=reset(ResetKind.VALUE)) == told
    several = {"fires": Fires.COUNT, "max_spikes": 3}
    assert refusal(neurons, kind, reset=reset(ResetKind.SUBTRACT), **several) == told
    assert neurons(kind, reset=reset(ResetKind.SUBTRACT)).reset.when is When.RETESTED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"what": Tabled.BIAS}, "a table of a bias of no state"),
        ({"what": Tabled.GAIN, "into": State.CURRENT}, "a table of a gain of no state"),
        ({"into": State.MEMBRANE}, "a table of the threshold acts on no state"),
        ({"start": -1}, "the first step of a table is 0 to 2147483647"),
        ({"start": 2**31}, "the first step of a table is 0 to 2147483647"),
    ],
)
def test_a_table_that_cannot_act_is_refused(kind, given, message):
    tables = (table(kind, Tabled.PAYLOAD), table(kind, **given))
    told = refusal(neurons, kind, tables=tables)
    assert told == f"error[SNN207]: {message}\n  at: n.tables[1]"


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_has_one_table_for_each_state_that_it_acts_on(kind):
    into = [State.MEMBRANE, State.CURRENT]
    tables = tuple(table(kind, Tabled.BIAS, into=state) for state in into)
    assert len(with_currents(kind, current(kind), tables=tables).tables) == 2
    told = refusal(with_currents, kind, current(kind), tables=(*tables, tables[1]))
    assert told == "error[SNN207]: two tables of one bias\n  at: n.tables[1]"


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_rows_of_the_population(kind):
    empty = Table(what=Tabled.THRESHOLD, rows=numbers(kind))
    told = refusal(neurons, kind, tables=(empty,))
    assert told == "error[SNN204]: a table has no rows\n  at: n.tables[0].rows"
    wrong = Table(what=Tabled.THRESHOLD, rows=numbers(kind, (1, 2, 3)))
    assert refusal(neurons, kind, tables=(wrong,)) == (
        "error[SNN204]: a parameter of shape (1, 3) does not broadcast to (2,)\n"
        "  at: n.tables[0].rows"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_synaptic_currents_are_at_most_four_and_begin_with_the_first(kind):
    assert refusal(neurons, kind, further=(current(kind),)) == (
        "error[SNN207]: further currents, but no first one\n  at: n"
    )
    most = [current(kind)] * 4
    assert len(with_currents(kind, *most).further) == 3
    assert refusal(with_currents, kind, *most, current(kind)) == (
        "error[SNN207]: 5 synaptic currents; a neuron has at most 4\n  at: n"
    )
    for times in (-2, 2):
        told = refusal(with_currents, kind, current(kind), current(kind, into_membrane=times))
        assert told == (
            f"error[SNN207]: a current enters the membrane {times} times; it is -1, 0 or 1\n  at: n"
        )
    for times in (-1, 0, 1):
        assert with_currents(kind, current(kind, into_membrane=times))
    chained = current(kind, chain=chain(kind))
    assert with_currents(kind, current(kind), chained).further == (chained,)
    assert refusal(with_currents, kind, chained) == (
        "error[SNN207]: the first current has none before it to be chained to\n  at: n"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_lower_threshold_is_at_most_the_upper_one(kind):
    given = {"threshold": numbers(kind, 1, 2), "lower": numbers(kind, 1, 3)}
    assert neurons(kind, **given).fires is Fires.BINARY  # which has no lower one
    told = refusal(neurons, kind, fires=Fires.TERNARY, **given)
    assert told == "error[SNN207]: the lower threshold lies above the upper one\n  at: n.lower"
    given["lower"] = given["threshold"]
    assert neurons(kind, fires=Fires.TERNARY, **given)


def graph(kind, **changes):
    identity = Dense(weight=np.eye(2, dtype=np.float64 if kind is network else np.int32))
    parts = {
        "name": "net",
        "inputs": (kind.Input(name="input", shape=(2,)),),
        "populations": (neurons(kind),),
        "projections": (kind.Projection(name="p", source="input", target="n", map=identity),),
        "outputs": (network.Output(name="out", population="n"),),
    }
    if kind is program:
        parts |= {"target": "toy", "arithmetic": RULES}
    made = kind.Network if kind is network else kind.Program
    return made(**{**parts, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_given_once(kind):
    whole = graph(kind)
    same = "error[SNN206]: two inputs or populations have the same name"
    assert refusal(graph, kind, populations=whole.populations * 2) == same
    twins = (*whole.inputs, kind.Input(name="n", shape=(2,)))
    assert refusal(graph, kind, inputs=twins) == same
    same = "error[SNN206]: two projections or two outputs have the same name"
    assert refusal(graph, kind, projections=whole.projections * 2) == same
    assert refusal(graph, kind, outputs=whole.outputs * 2) == same
    shared = (network.Output(name="p", population="n"),)  # an output and a projection may
    assert graph(kind, outputs=shared).outputs == shared


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "gone"}, "error[SNN206]: an edge starts from 'gone': no such node\n  at: p"),
        ({"target": "gone"}, "error[SNN206]: an edge ends in 'gone': no such population\n  at: p"),
        (
            {"target": "input"},
            "error[SNN206]: an edge ends in 'input': no such population\n  at: p",
        ),
        (
            {"into": State.CURRENT},
            "error[SNN206]: a projection drives the state 'current', which n does not have\n"
            "  at: p",
        ),
    ],
)
def test_a_projection_joins_what_is_there(kind, given, message):
    projection = dataclasses.replace(graph(kind).projections[0], **given)
    assert refusal(graph, kind, projections=(projection,)) == message


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_fits_what_it_joins(kind):
    wide = Dense(weight=np.ones((3, 2), np.float64 if kind is network else np.int32))
    projection = dataclasses.replace(graph(kind).projections[0], map=wide)
    assert refusal(graph, kind, projections=(projection,)) == (
        "error[SNN204]: a map gives 3 values, but n has 2 ((2,))\n  at: p"
    )
    tall = Dense(weight=wide.weight.T.copy())
    projection = dataclasses.replace(projection, map=tall)
    assert refusal(graph, kind, projections=(projection,)) == (
        "error[SNN204]: a map reads 3 values, but input has 2 ((2,))\n  at: p"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_delays_are_one_or_one_a_source_or_one_a_weight_and_not_negative(kind):
    plain = graph(kind).projections[0]

    def delayed(delay):
        return dataclasses.replace(plain, delay=np.asarray(delay, np.int32))

    for delay in (0, [0, 2], [[1, 2], [3, 4]]):
        assert delayed(delay).delay.shape == np.shape(delay)
    assert refusal(delayed, [1, 2, 3]) == (
        "error[SNN204]: delays of shape (3,); allowed are (), (2,), (2, 2)\n  at: p"
    )
    assert refusal(delayed, [3, -1]) == "error[SNN206]: a delay of -1 steps is negative\n  at: p"


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_reads_a_population(kind):
    def reads(**given):
        return (network.Output(**{"name": "out", "population": "n", **given}),)

    assert refusal(graph, kind, outputs=reads(population="gone")) == (
        "error[SNN206]: an output reads 'gone', which does not exist\n  at: out"
    )
    assert refusal(graph, kind, outputs=()) == (
        "error[SNN206]: nothing leaves the network: it has no output"
    )
    assert refusal(graph, kind, outputs=reads(decode=Decode.WEIGHTED_COUNT)) == (
        "error[SNN206]: weighted-count needs a weight for each step\n"
        "  at: out\n"
        "  fix: graph.decodes and graph.weights state both; in an architecture file decode and "
        "decode_weights"
    )


def test_rows_that_are_summed_one_by_one_have_no_gain():
    gain = program.Gain(into=State.MEMBRANE, multiplier=one(program))
    rules = dataclasses.replace(RULES, sums=Sums.BY_ROW)
    gained = neurons(program, gains=(gain,))
    assert graph(program, populations=(gained,)).populations == (gained,)
    assert refusal(graph, program, populations=(gained,), arithmetic=rules) == (
        "error[SNN207]: no gain acts on rows that are summed one by one\n  at: n"
    )


def test_where_no_unit_is_stated_a_step_of_a_state_and_of_an_input_is_worth_1():
    population = program.Population(name="l", shape=(2,), decay=np.zeros((), np.int32))
    assert (population.units, float(program.Input(name="in", shape=(1,)).unit)) == (1.0, 1.0)
