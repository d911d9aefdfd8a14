"""Networks and programs as text."""

from dataclasses import replace

import numpy as np

from snn_deploy.ir import program as whole
from snn_deploy.ir.arithmetic import Decay
from snn_deploy.ir.kinds import Adaptive, Delta, NeuronKind, Resonator, Sigma, SigmaDelta
from snn_deploy.ir.maps import Composition, Convolution, Dense, Scale, Sparse
from snn_deploy.ir.network import (
    Between,
    Bias,
    Boundary,
    Floor,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import (
    Compare,
    Decode,
    During,
    Fires,
    Reads,
    ResetKind,
    State,
    Tabled,
    When,
)
from snn_deploy.ir.text import print_network, print_program
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.targets import find_target


def real(value):
    return np.asarray(value, np.float64)


def number(value):
    return np.asarray(value, np.int32)


def a_network():
    pool = Convolution(weight=np.ones((2, 1, 2, 2)), source=(2, 8, 6), stride=(2, 2), groups=2)
    kernel = np.arange(-18, 18).reshape(2, 2, 3, 3) / 16
    convolution = Convolution(weight=kernel, source=(2, 4, 3), padding=(1, 1, 1, 0))
    counting = Population(
        name="first",
        shape=(2, 4, 2),
        decay=real(0.9),
        gain=real([[[0.5]], [[0.25]]]),
        fires=Fires.COUNT,
        max_spikes=4,
        compare=Compare.GREATER_EQUAL,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=real(1)),
        floor=Floor(value=real(-1)),
        biases=(Bias(value=real([[[0.125]], [[0.5]]])),),
    )
    filtered = Population(
        name="second",
        shape=(3,),
        decay=real([0.5, 0.75, 0.5]),
        synapse=Synapse(decay=real(0.8), gain=real(2), initial=real(0.5)),
        reset=Reset(kind=ResetKind.VALUE, amount=real(-0.5), when=When.NEXT),
        biases=(Bias(value=real(1), into=State.CURRENT, start=3),),
        initial=real(0.25),
    )
    readout = Population(name="readout", shape=(3,), decay=real(1), fires=Fires.NEVER)
    dense = Dense(weight=np.arange(48.0).reshape(3, 16))
    return Network(
        name="everything",
        inputs=(Input(name="in", shape=(2, 8, 6)),),
        populations=(counting, filtered, readout),
        projections=(
            Projection(
                name="a", source="in", target="first",
                map=Composition(stages=(pool, convolution)),
            ),
            Projection(
                name="b", source="first", target="second", map=dense,
                delay=number(np.arange(16) % 3),
            ),
            Projection(
                name="c", source="second", target="readout", map=Scale(factor=real([1, 0, 2]))
            ),
        ),
        outputs=(Output(name="out", population="readout", decode=Decode.MEMBRANE_MEAN, delay=2),),
        dt=0.001,
        boundary=Boundary(between=Between.CONTINUOUS, idle=5),
    )  # fmt: skip


def a_program(weight=4):
    neurons = whole.Population(
        name="l",
        shape=(2,),
        decay=number([4096, 2048]),
        current=whole.Current(decay=number(1024), initial=number([0, 64])),
        threshold=number(640),
        reset=whole.Reset(kind=ResetKind.VALUE),
        biases=(whole.Bias(value=number(64), start=1),),
        lag=1,
        unit=whole.Binary.of(0.125),
        origin=whole.Binary.of(-0.5),
    )
    wire = whole.Projection(
        name="w",
        source="in",
        target="l",
        map=Sparse(
            post=number([0, 1]), pre=number([1, 2]), weight=number([weight, -6]),
            post_shape=(2,), pre_shape=(3,),
        ),
        shift=7,
        delay=number(1),
    )  # fmt: skip
    return whole.Program(
        name="small",
        target="loihi2",
        arithmetic=find_target("loihi2").arithmetic,
        inputs=(whole.Input(name="in", shape=(3,), low=-1, high=3, unit=whole.Binary.of(0.5)),),
        populations=(neurons,),
        projections=(wire,),
        outputs=(Output(name="out", population="l"),),
        dt=whole.Binary.of(0.5),
    )


def a_program_beyond_one_current():
    """Return a program of period 2 with every field that leaky neurons of one current lack."""
    two = whole.Current(decay=number([500, 600]), initial=number(3), into_membrane=0)
    three = whole.Current(
        decay=number(0), into_membrane=-1, reads=Reads.OLD,
        chain=whole.Chain(multiplier=number([-7, 9]), reads=Reads.OLD),
    )  # fmt: skip
    gains = (
        whole.Gain(into=State.CURRENT_2, multiplier=number([3, 5]), shift=2),
        whole.Gain(into=State.MEMBRANE, multiplier=number(3), shift=1),
    )
    tables = (
        Table(what=Tabled.THRESHOLD, rows=number([640, 576, 512]), start=2, repeats=True),
        Table(what=Tabled.LOWER, rows=number([[-64, -128]]), start=1),
        Table(what=Tabled.GAIN, into=State.CURRENT_2, rows=number([1, 2])),
        Table(what=Tabled.BIAS, into=State.MEMBRANE, rows=number([8, -8]), repeats=True),
        Table(what=Tabled.PAYLOAD, rows=number([2])),
    )
    first = whole.Population(
        name="timed", shape=(2,), decay=number(-4000), current=whole.Current(decay=number(9)),
        further=(two, three), gains=gains, fires=Fires.TERNARY, threshold=number(640),
        lower=number([-640, -320]), reset=whole.Reset(kind=ResetKind.VALUE),
        refractory=Refractory(steps=3, during=During.CLAMPED), window=Window(first=2, behind=30),
        restart=Restart(interval=16, offset=4), tables=tables, unit_factor=number([1, 4]),
        biases=(whole.Bias(value=number(5), into=State.CURRENT_3, waits=True),),
    )  # fmt: skip
    once = whole.Population(
        name="once", shape=(2,), decay=number(4096), fires=Fires.ROUNDED, max_spikes=3,
        threshold=number(64), refractory=Refractory(steps=None, during=During.HELD),
        reset=whole.Reset(kind=ResetKind.SUBTRACT, amount=number(64), when=When.NEXT),
    )  # fmt: skip
    again = whole.Population(
        name="again", shape=(2,), decay=number(4096), threshold=number(64),
        reset=whole.Reset(kind=ResetKind.SUBTRACT, amount=number(64), when=When.RETESTED),
    )  # fmt: skip
    graded = whole.Population(
        name="graded", shape=(2,), decay=number(4000), fires=Fires.GRADED, payload_shift=4
    )
    adaptive = Adaptive(
        current_decay=number(4000), decay=number(3000), threshold_decay=number(2000),
        refraction_decay=number(1000), base=number([64, 128]), increase=number(32),
    )  # fmt: skip
    kinds: tuple[NeuronKind, ...] = (
        adaptive,
        Resonator(cosine=number(3000), sine=number([-500, 500]), threshold=number(99)),
        Sigma(),
        Delta(threshold=number(7), payload_shift=2, cumulative=True),
        SigmaDelta(threshold=number(7), bias=number(3)),
    )
    others = tuple(
        whole.Population(name=kind.tag, shape=(2,), decay=number(0), kind=kind) for kind in kinds
    )

    def wire(target, into=None):
        name = f"{target} {'' if into is None else into.value}".strip()
        return whole.Projection(
            name=name, source="in", target=target, into=into,
            map=Dense(weight=number([[1, -2], [3, 4]])),
        )  # fmt: skip

    return whole.Program(
        name="beyond",
        target="cpu",
        arithmetic=find_target("cpu").arithmetic,
        inputs=(whole.Input(name="in", shape=(2,)),),
        populations=(first, once, again, graded, *others),
        projections=(
            *(wire("timed", into) for into in (None, State.CURRENT_3, State.MEMBRANE)),
            *(wire(p.name) for p in (once, again, graded, *others)),
            wire("resonator", State.IMAGINARY),
        ),
        outputs=(Output(name="out", population="timed"),),
        period=2,
    )


def test_a_program_beyond_one_current(golden):
    golden(print_program(a_program_beyond_one_current()))


def test_a_program_whose_decays_are_shifts(golden):
    program = a_program()
    decay = {"decay": number([3, 5]), "current": whole.Current(decay=number(2))}
    rules = replace(program.arithmetic, decay=Decay.SHIFT)
    populations = tuple(replace(p, **decay) for p in program.populations)
    golden(print_program(replace(program, arithmetic=rules, populations=populations)))


def test_a_network_with_everything(golden):
    golden(print_network(a_network()))


def test_a_small_program(golden):
    golden(print_program(a_program()))


def test_programs_that_differ_print_differently():
    program = a_program()
    assert print_program(program) == print_program(a_program())
    texts = {
        print_program(program),
        print_program(a_program(weight=2)),
        print_program(replace(program, name="other")),
        print_program(replace(program, boundary=Boundary(between=Between.CONTINUOUS))),
    }
    assert len(texts) == 4


def test_no_line_ends_in_a_space():
    programs = (a_program(), a_program_beyond_one_current())
    text = print_network(a_network()) + "".join(map(print_program, programs))
    lines = text.split("\n")
    assert [line for line in lines if line != line.rstrip()] == []
