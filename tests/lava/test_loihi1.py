"""Programs for Loihi 1 in Lava, whose LIF has other registers: native where no input needs them."""

from dataclasses import replace

import numpy as np
import pytest
from loihi1_networks import Case, Domain, random_case

from snn_deploy.backends.lava import LavaBackend, make_plan
from snn_deploy.backends.lava.plan import Neuron
from snn_deploy.ir.program import Program
from snn_deploy.targets import Support, find_target

CHIP = find_target("loihi1")


def one_layer(weight: int, decay: int) -> Program:
    """Return 12 inputs of one weight, shifted by the chip's 6 bits, into currents of one decay."""
    case = random_case(0, Domain(inputs=(12, 13), refractory=False))
    first, way = case.program.populations[0], case.program.projections[0]
    assert first.current is not None
    matrix = np.full((first.size, 12), weight, np.int32)
    return replace(
        case.program,
        populations=(replace(first, current=replace(first.current, decay=np.asarray(decay))),),
        projections=(
            replace(way, map=way.map.with_numbers(matrix), shift=CHIP.weights.shift.value),
        ),
        outputs=(replace(case.program.outputs[0], population=first.name),),
    )


def test_lavas_lif_computes_what_no_input_makes_overflow():
    plan = make_plan(one_layer(weight=200, decay=2048))
    assert [p.support for p in plan.populations] == [Support.NATIVE]
    assert [p.process for p in plan.populations] == [Neuron.LIF]


@pytest.mark.parametrize(
    ("weight", "shift", "decay", "reason"),
    [
        (
            254, 5, 0,
            "a sum of up to 6242304 in one step may leave the 22 bits that hold it in the "
            "program, and Lava has no such register",
        ),
        (
            200, 0, 4080,
            "a current of up to 39321600 may overflow, and Lava's does so otherwise",
        ),
        (
            200, 0, 4096,
            "a current of up to inf may overflow, and Lava's does so otherwise",
        ),
    ],
)  # fmt: skip
def test_what_may_overflow_runs_in_our_process_and_that_is_told(
    weight: int, shift: int, decay: int, reason: str
):
    program = one_layer(weight=weight, decay=decay)
    program = replace(
        program,
        projections=tuple(replace(p, shift=p.shift + shift) for p in program.projections),
    )
    plan = make_plan(program)
    assert [(p.support, p.reason) for p in plan.populations] == [(Support.SIMULATED, reason)]
    (finding, *_) = LavaBackend().supports(program, CHIP)
    assert finding.amount == "runs as FixedPointNeuron in Lava's simulator only"


def wrapping() -> Case:
    """Return a program whose sums leave the register that holds them."""
    return random_case(201, Domain(inputs=(60, 90), exponents=(2, 6), rates=(0.5,)))


@pytest.mark.lava
@pytest.mark.parametrize(
    "case", [random_case(7, Domain(biases=True)), wrapping()], ids=["in-range", "wrapping"]
)
def test_lava_has_the_states_of_random_programs(case: Case, equal_in_lava) -> None:
    trace = equal_in_lava(case.program, case.inputs)
    overflows = sum(p.overflows for p in trace.populations)
    assert (overflows > 0) == (case.name == wrapping().name)
