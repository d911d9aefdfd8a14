"""What every backend refuses before it runs, and how a backend is found."""

import numpy as np
import pytest

from snn_deploy.backends.protocol import checked, find_backend
from snn_deploy.errors import DataError, UnknownNameError
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.program import Input, Output, Population, Program, Projection
from snn_deploy.ir.trace import Values

WIDE = Register(bits=24, overflow=Overflow.SATURATE)
ONE = np.asarray(1, np.int32)
PROGRAM = Program(
    name="net",
    target="cpu",
    arithmetic=Arithmetic(current=WIDE, membrane=WIDE, decay_bits=12),
    inputs=(Input(name="a", shape=(2,)), Input(name="b", shape=(3,), low=-4, high=4)),
    populations=(Population(name="n", shape=(2,), decay=ONE, threshold=ONE),),
    projections=(
        Projection(name="an", source="a", target="n", map=Dense(weight=np.eye(2, dtype=np.int32))),
    ),
    outputs=(Output(name="out", population="n"),),
)


def values(name: str, *shape: int, dtype: type = np.int64) -> Values:
    return Values(name=name, values=np.ones(shape, dtype))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            (values("a", 1, 5, 2),),
            "error[SNN208]: the program has the inputs a, b; given are a",
        ),
        ((), "error[SNN208]: the program has the inputs a, b; given are none"),
        (
            (values("a", 1, 5, 2), values("b", 1, 6, 3)),
            "error[SNN208]: the inputs differ in samples or steps: [(1, 5), (1, 6)]",
        ),
        (
            (values("a", 1, 5, 2), values("b", 1, 5, 2)),
            "error[SNN208]: each step of the input has shape (2,), but the program reads (3,)\n"
            "  at: b\n"
            "  fix: give an array of shape [sample, step, 3]",
        ),
        (
            (values("a", 1, 5, 2, dtype=np.float32), values("b", 1, 5, 3)),
            "error[SNN208]: an integer program reads whole numbers, not float32\n  at: a",
        ),
    ],
)
def test_inputs_that_do_not_suit_the_program_are_refused(given, text):
    with pytest.raises(DataError) as caught:
        checked(PROGRAM, given)
    assert str(caught.value) == text


def test_inputs_come_in_the_order_of_the_program_and_are_not_copied():
    given = (values("b", 2, 5, 3), values("a", 2, 5, 2))
    ordered = checked(PROGRAM, given)
    assert [v.name for v in ordered] == ["a", "b"]
    assert ordered[0].values is given[1].values


@pytest.mark.parametrize(("name", "fix"), [("lavva", "\n  fix: --backend lava"), ("xyz", "")])
def test_a_backend_that_nobody_has_is_told_with_the_nearest(name, fix):
    with pytest.raises(UnknownNameError) as caught:
        find_backend(name)
    assert str(caught.value).startswith(f"error[SNN101]: no backend is called {name!r}; there are ")
    assert str(caught.value).endswith("reference" + fix)
