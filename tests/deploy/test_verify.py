"""Verification counts what it compared, and names the first difference with its inputs."""

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.outcomes import Verification
from snn_deploy.deploy.verify import compare
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.neuron import ResetKind, State
from snn_deploy.ir.program import Current, Input, Output, Population, Program, Projection, Reset
from snn_deploy.ir.trace import EVERYTHING, Trace, Values

ARITHMETIC = Arithmetic(
    current=Register(bits=24, overflow=Overflow.WRAP_ONCE),
    membrane=Register(bits=24, overflow=Overflow.SATURATE),
    decay_bits=12,
)


def whole(*values: int) -> np.ndarray:
    return np.asarray(values if len(values) > 1 else values[0], np.int32)


@pytest.fixture
def program() -> Program:
    """Two inputs into two neurons, and those into one without a current."""
    return Program(
        name="net",
        target="loihi2",
        arithmetic=ARITHMETIC,
        inputs=(Input(name="in", shape=(2,)),),
        populations=(
            Population(
                name="hidden",
                shape=(2,),
                decay=whole(4096),
                current=Current(decay=whole(2048)),
                threshold=whole(640),
                reset=Reset(kind=ResetKind.VALUE),
                lag=1,
            ),
            Population(name="out", shape=(1,), decay=whole(4096), threshold=whole(640), lag=2),
        ),
        projections=(
            Projection(
                name="in->hidden",
                source="in",
                target="hidden",
                map=Dense(weight=np.array([[4, 2], [6, 8]], np.int32)),
                shift=6,
                delay=whole(1),
            ),
            Projection(
                name="hidden->out",
                source="hidden",
                target="out",
                map=Dense(weight=np.array([[4, 6]], np.int32)),
                shift=6,
                delay=whole(1),
            ),
        ),
        outputs=(Output(name="output", population="out"),),
    )


@pytest.fixture
def inputs() -> tuple[Values, ...]:
    return (Values(name="in", values=np.random.default_rng(1).integers(0, 2, (3, 20, 2))),)


def changed(trace: Trace, name: str, state: State, where: tuple[int, ...], by: int) -> Trace:
    record = trace[name].state(state)
    assert record is not None
    copy = record.copy()
    copy[where] += by
    populations = tuple(
        replace(p, states={**p.states, state: copy}) if p.name == name else p
        for p in trace.populations
    )
    return replace(trace, populations=populations)


def test_equal_runs_are_equal_in_every_state(program: Program, inputs: tuple[Values, ...]) -> None:
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    result = compare(program, inputs, ("event", trace), ("reference", trace))
    assert result.equal
    assert result.states == 3 * 22 * (2 * 3 + 1 * 2)


@pytest.mark.parametrize("state", [State.CURRENT, State.MEMBRANE, State.PAYLOAD])
def test_one_changed_state_is_found(
    program: Program, inputs: tuple[Values, ...], state: State
) -> None:
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    other = changed(trace, "hidden", state, (2, 7, 1), 1)
    later = changed(other, "out", State.MEMBRANE, (0, 8, 0), 5)
    found = compare(program, inputs, ("event", trace), ("lava", later)).difference
    assert found is not None
    assert (found.population, found.neuron) == ("hidden", (1,))
    assert (found.sample, found.step, found.state) == (2, 7, state)
    assert found.got == found.expected + 1


def test_the_inputs_of_the_first_difference_are_listed(
    program: Program, inputs: tuple[Values, ...]
) -> None:
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    other = changed(trace, "hidden", State.CURRENT, (0, 5, 1), 64)
    found = compare(program, inputs, ("event", trace), ("lava", other)).difference
    assert found is not None
    expected = [(j, [6, 8][j]) for j in range(2) if inputs[0].values[0, 4, j]]
    assert [(e.neuron[0], e.weight) for e in found.arrived] == expected
    assert all(e.sent == 4 and e.payload == 1 for e in found.arrived)
    assert found.arrived_in_all == len(expected)


def test_a_difference_is_printed_with_the_way_to_replay_it(
    program: Program, inputs: tuple[Values, ...]
) -> None:
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    other = changed(trace, "out", State.MEMBRANE, (1, 9, 0), -3)
    result = compare(program, inputs, ("event", trace), ("lava", other))
    text = str(
        Verification(artifact="net-loihi2", samples=3, steps=20, comparisons=(result,), overflows=0)
    )
    membrane = trace["out"].membrane
    assert membrane is not None
    lines = text.splitlines()
    assert lines[:5] == [
        "3 samples, 20 steps each",
        "event / lava  DIFFERENT",
        "  first at  out[0], sample 1, step 7 (9 on the chip), membrane",
        f"  event     {membrane[1, 9, 0]}",
        f"  lava      {membrane[1, 9, 0] - 3}",
    ]
    assert lines[-1] == (
        "  replay: snn-deploy verify net-loihi2 --input FILE --against lava --first 1 --samples 1"
    )


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (7, "  first at  hidden[0], sample 0, step 2 (7 on the chip), membrane"),
        (8, "  first at  hidden[0], sample 0, step 8 on the chip, which is none of the network, "
            "membrane"),
    ],
)  # fmt: skip
def test_a_difference_of_a_dilated_program_is_told_in_steps_of_the_network(
    program: Program, step: int, text: str
) -> None:
    slow = replace(program, period=3)
    spikes = np.zeros((1, 20, 2), np.int64)
    spikes[0, ::3] = 1
    inputs = (Values(name="in", values=spikes),)
    trace = ReferenceBackend().run(slow, inputs, EVERYTHING)
    other = changed(trace, "hidden", State.MEMBRANE, (0, step, 0), 1)
    result = compare(slow, inputs, ("event", trace), ("lava", other))
    lines = str(
        Verification(artifact="a", samples=1, steps=7, comparisons=(result,), overflows=0)
    ).splitlines()
    assert lines[2] == text
    if step == 7:
        assert lines[-2] == "    in[1] sent 1 in step 2 (6 on the chip), weight 2"


def test_a_backend_that_forgot_a_state_is_not_equal(
    program: Program, inputs: tuple[Values, ...]
) -> None:
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    without = {State.CURRENT, State.PAYLOAD}
    populations = tuple(
        replace(p, states={s: v for s, v in p.states.items() if s in without})
        for p in trace.populations
    )
    other = replace(trace, populations=populations)
    with pytest.raises(ValueError, match="lava did not record membrane of hidden"):
        compare(program, inputs, ("event", trace), ("lava", other))


@pytest.mark.parametrize(
    "delay",
    [np.array([3, 1], np.int32), np.array([[3, 1], [1, 3]], np.int32), np.asarray(3, np.int32)],
    ids=["of each source", "of each weight", "of all"],
)
def test_what_arrived_was_sent_as_long_ago_as_its_delay(
    program: Program, inputs: tuple[Values, ...], delay: np.ndarray
) -> None:
    late = replace(program.projections[0], delay=delay)
    program = replace(program, projections=(late, program.projections[1]))
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    step = 9
    other = changed(trace, "hidden", State.CURRENT, (0, step, 1), 64)
    found = compare(program, inputs, ("event", trace), ("lava", other)).difference
    assert found is not None
    sent = {e.neuron[0]: e.sent for e in found.arrived}
    delays = np.broadcast_to(delay, (2, 2))[1]
    assert sent == {
        j: step - delays[j] for j in range(2) if inputs[0].values[0, step - delays[j], j]
    }
    before = trace["hidden"].membrane
    assert before is not None
    assert found.before["membrane"] == before[0, step - 1, 1]


def test_a_difference_in_the_first_step_has_nothing_before_it(
    program: Program, inputs: tuple[Values, ...]
) -> None:
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    other = changed(trace, "hidden", State.MEMBRANE, (1, 0, 0), 1)
    found = compare(program, inputs, ("event", trace), ("lava", other)).difference
    assert found is not None
    assert (found.step, found.before, found.arrived) == (0, {}, ())


def test_records_of_different_shapes_are_not_compared(
    program: Program, inputs: tuple[Values, ...]
) -> None:
    trace = ReferenceBackend().run(program, inputs, EVERYTHING)
    (values,) = inputs
    shorter = (replace(values, values=values.values[:, :-1]),)
    other = ReferenceBackend().run(program, shorter, EVERYTHING)
    message = r"hidden: current was recorded as \(3, 22, 2\) and as \(3, 21, 2\)"
    with pytest.raises(ValueError, match=message):
        compare(program, inputs, ("event", trace), ("lava", other))
