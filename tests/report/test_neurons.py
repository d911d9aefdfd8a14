"""What the report says of each kind of neuron, in whole words."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.deploy.report.neurons import dynamics_of
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Overflow, Register
from snn_deploy.ir.kinds import Sigma
from snn_deploy.ir.neuron import Compare, Fires, ResetKind, Tabled, When
from snn_deploy.ir.program import Bias, Current, Floor, Population, Reset
from snn_deploy.ir.timing import Refractory, Table

WIDE = Register(bits=24, overflow=Overflow.SATURATE)
RULES = Arithmetic(current=WIDE, membrane=WIDE, decay_bits=12)


def w(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


PLAIN = Population(name="n", shape=(2,), decay=w(3800, 4000), threshold=w(640, 640))


@pytest.mark.parametrize(
    ("population", "told"),
    [
        (
            PLAIN,
            "membrane times 3800 to 4000 / 4096; fires (binary) where it is > 640; no reset",
        ),
        (
            replace(
                PLAIN,
                decay=w(4096, 4096),
                current=Current(decay=w(2048, 2048)),
                compare=Compare.GREATER_EQUAL,
                reset=Reset(kind=ResetKind.VALUE, amount=w(0, 3), when=When.NEXT),
                refractory=Refractory(steps=2),
                floor=Floor(value=w(-7, -7)),
                biases=(Bias(value=w(1, 5)), Bias(value=w(2, 2), start=3)),
            ),
            "current times 2048 / 4096; membrane without leak; fires (binary) where it is >= 640; "
            "then set to 0 to 3 in the next step; refractory; floor -7; bias 1 to 5, 2",
        ),
        (
            replace(
                PLAIN,
                reset=Reset(kind=ResetKind.SUBTRACT, amount=w(640, 640), when=When.RETESTED),
                tables=(Table(what=Tabled.THRESHOLD, rows=np.array([[9, 9]], np.int32)),),
            ),
            "membrane times 3800 to 4000 / 4096; fires (binary) where it is > 640; then less 640, "
            "tested again; parameters that change over time",
        ),
        (
            replace(PLAIN, fires=Fires.GRADED, payload_shift=6),
            "membrane times 3800 to 4000 / 4096; sends its membrane / 2**6",
        ),
        (
            replace(PLAIN, fires=Fires.NEVER),
            "membrane times 3800 to 4000 / 4096; read, never fires",
        ),
        (replace(PLAIN, kind=Sigma()), "neurons of the kind sigma"),
    ],
)
def test_neurons_are_told_in_a_few_words(population: Population, told: str) -> None:
    assert dynamics_of(population, RULES) == told


def test_a_decay_by_shifting_is_told_as_such() -> None:
    rules = replace(RULES, decay=Decay.SHIFT)
    told = dynamics_of(replace(PLAIN, decay=w(3, 4), fires=Fires.NEVER), rules)
    assert told == "membrane less itself / 2**3 to 4; read, never fires"
