"""A program whose sums may just fill 64 bits is allowed; with one more it is refused."""

from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import OverflowPossibleError
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow, Register
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, Fires, State, Tabled
from snn_deploy.ir.program import Bias, Chain, Current, Gain, Input, Population, Program, Projection
from snn_deploy.ir.timing import Table

MOST = 2**63 - 1
STATE = 2**31
"""No state is larger."""

WORD = 2**31 - 1
WIDE = Register(bits=32, overflow=Overflow.SATURATE_FULL)
NARROW = Register(bits=24, overflow=Overflow.SATURATE_FULL)
PRODUCT = WORD * WORD << 1
"""What arrives from the largest input over the largest weight, shifted by one."""


def whole(number: Any) -> np.ndarray:
    return np.asarray(number, np.int32)


def biases(total: int, into: State = State.MEMBRANE) -> tuple[Bias, ...]:
    """Return biases that sum to `total`, up and down in turn: their sizes count."""
    found = []
    while total:
        part = min(total, WORD)
        total -= part
        found.append(Bias(value=whole(part if len(found) % 2 else -part), into=into))
    return tuple(found)


def program(
    linear: LinearMap | None = None,
    *,
    arithmetic: dict[str, Any] | None = None,
    source: dict[str, Any] | None = None,
    wire: dict[str, Any] | None = None,
    more: tuple[Population, ...] = (),
    beside: int = 0,
    **neuron: Any,
) -> Program:
    """Return a program of an input and a population, the largest weight shifted by 1 between them.

    Args:
        linear: In place of one synapse of the largest weight.
        arithmetic: Changes of the rules.
        source: Changes of the input.
        wire: Changes of the projection.
        more: Other populations.
        beside: Weight of a second projection, from an input of at most 1.
        **neuron: Changes of the population.
    """
    linear = linear or Dense(weight=whole([[WORD]]))
    rules = {"current": WIDE, "membrane": WIDE, "decay_bits": 12} | (arithmetic or {})
    given = {"name": "x", "shape": (linear.in_size,), "high": WORD} | (source or {})
    joined = {"name": "w", "source": "x", "target": "n", "map": linear, "shift": 1} | (wire or {})
    inputs, projections = [Input(**given)], [Projection(**joined)]
    if beside:
        inputs.append(Input(name="y", shape=(1,)))
        one = Dense(weight=whole([[beside]]))
        projections.append(Projection(name="v", source="y", target="n", map=one))
    made = {"name": "n", "shape": (linear.out_size,), "decay": whole(4096)} | neuron
    return Program(
        name="small",
        target="cpu",
        arithmetic=Arithmetic(**rules),
        inputs=tuple(inputs),
        populations=(Population(**made), *more),
        projections=tuple(projections),
        outputs=(Output(name="o", population="n", decode=Decode.MEMBRANE_END),),
    )


GRADED = Population(name="m", shape=(1,), decay=whole(0), fires=Fires.GRADED)
SYNAPSE = Current(decay=whole(4095))
CHAINED = Current(decay=whole(1), chain=Chain(multiplier=whole(-8191)))
SPARSE = {
    "post": whole([0, 1, 1, 2]),
    "pre": whole([0, 0, 1, 1]),
    "weight": whole([5, -WORD, WORD, 7]),
    "post_shape": (3,),
    "pre_shape": (2,),
}
KERNEL = np.array([[[[3, -4]]], [[[WORD, -WORD]]]], np.int32)

MEMBRANE: dict[str, tuple[dict[str, Any], int]] = {
    "state": ({}, STATE + PRODUCT),
    "decay": ({"decay": whole(9)}, (STATE * 9 >> 12) + PRODUCT),
    "negative decay": ({"decay": whole(-8192)}, 2 * STATE + PRODUCT),
    "shift": ({"decay": whole(3), "arithmetic": {"decay": Decay.SHIFT}}, STATE + PRODUCT),
    "change": ({"arithmetic": {"change": WIDE}}, 2 * STATE + PRODUCT),
    "negative input": ({"source": {"low": -STATE}}, STATE + (STATE * WORD << 1)),
    "graded": ({"more": (GRADED,), "wire": {"source": "m"}}, STATE + (STATE * WORD << 1)),
    "graded in a narrow register": (
        {"more": (GRADED,), "wire": {"source": "m"}, "arithmetic": {"membrane": NARROW}},
        STATE + (STATE * WORD << 1),
    ),
    "second projection": ({"beside": 1000}, STATE + PRODUCT + 1000),
    "table": (
        {"tables": (Table(what=Tabled.BIAS, rows=whole([3, -17, 5]), into=State.MEMBRANE),)},
        STATE + PRODUCT + 17,
    ),
    "gain": (
        {"gains": (Gain(into=State.MEMBRANE, multiplier=whole(-2)),), "wire": {"shift": 0}},
        STATE + PRODUCT + 1,
    ),
    "table of gains": (
        {
            "gains": (Gain(into=State.MEMBRANE, multiplier=whole(1)),),
            "tables": (Table(what=Tabled.GAIN, rows=whole([0, 2]), into=State.MEMBRANE),),
            "wire": {"shift": 0},
        },
        STATE + PRODUCT + 1,
    ),
    "currents": (
        {"current": SYNAPSE, "further": (CHAINED,), "wire": {"into": State.MEMBRANE}},
        3 * STATE + PRODUCT,
    ),
    "dense row": (
        {"linear": Dense(weight=whole([[1, 2], [-WORD, WORD]])), "wire": {"shift": 0}},
        STATE + PRODUCT,
    ),
    "sparse row": ({"linear": Sparse(**SPARSE), "wire": {"shift": 0}}, STATE + PRODUCT),
    "kernel": (
        {"linear": Convolution(weight=KERNEL, source=(1, 1, 2)), "wire": {"shift": 0}},
        STATE + PRODUCT,
    ),
}


@pytest.mark.parametrize("case", MEMBRANE)
def test_what_a_membrane_adds_up_may_just_fill_64_bits(case: str) -> None:
    parts, bound = MEMBRANE[case]
    left = MOST - bound
    assert program(**parts, biases=biases(left))
    with pytest.raises(OverflowPossibleError) as caught:
        program(**parts, biases=biases(left + 1))
    assert str(caught.value) == (
        "error[SNN303]: sums of the membrane may reach 9.22e+18, beyond 64 bits\n  at: n\n"
        "  fix: use smaller weights, shifts or payloads"
    )


@pytest.mark.parametrize(
    ("into", "state"),
    [
        (State.CURRENT, STATE * 4095 >> 12),
        (State.CURRENT_2, (STATE * 1 >> 12) + (STATE * 8191 >> 12)),
    ],
)
def test_what_a_current_adds_up_may_just_fill_64_bits(into: State, state: int) -> None:
    parts = {"current": SYNAPSE, "further": (CHAINED,), "wire": {"into": into}}
    left = MOST - PRODUCT - state
    assert program(**parts, biases=biases(left, into))
    with pytest.raises(OverflowPossibleError) as caught:
        program(**parts, biases=biases(left + 1, into))
    assert str(caught.value).startswith(f"error[SNN303]: sums of the {into.value} may reach 9.22e")


def test_the_product_of_a_gain_may_just_fill_64_bits() -> None:
    gains = (Gain(into=State.MEMBRANE, multiplier=whole(3), shift=30),)
    weight, beside = divmod((MOST - 2**30) // 3, WORD)  # half a step of the shift rounds
    linear = Dense(weight=whole([[weight]]))
    assert program(linear, wire={"shift": 0}, beside=beside, gains=gains)
    with pytest.raises(OverflowPossibleError):
        program(linear, wire={"shift": 0}, beside=beside + 1, gains=gains)


def test_an_accumulator_that_saturates_bounds_what_a_gain_multiplies() -> None:
    gains = (Gain(into=State.MEMBRANE, multiplier=whole(WORD), shift=30),)
    for overflow in (Overflow.SATURATE_FULL, Overflow.WRAP):
        held = Register(bits=32, overflow=overflow)
        assert program(gains=gains, arithmetic={"accumulator": held})
    runs_away = Register(bits=32, overflow=Overflow.WRAP_ONCE)
    for accumulator in (None, runs_away):
        with pytest.raises(OverflowPossibleError) as caught:
            program(gains=gains, arithmetic={"accumulator": accumulator})
        assert str(caught.value) == (
            "error[SNN303]: sums of the membrane may reach 1.98e+28, beyond 64 bits\n  at: n\n"
            "  fix: use smaller weights, shifts or payloads"
        )


def test_what_arrives_may_just_fill_64_bits_where_an_accumulator_holds_it() -> None:
    held = {"accumulator": WIDE}
    rest = MOST - PRODUCT
    parts, last = divmod(rest, WORD)
    assert (parts, last) == (4, 1)
    wide = Dense(weight=whole([[WORD, WORD, 1, 1, 1, 1]]))
    assert program(wide, wire={"shift": 0}, beside=last, arithmetic=held)
    with pytest.raises(OverflowPossibleError):
        program(wide, wire={"shift": 0}, beside=last + 1, arithmetic=held)
