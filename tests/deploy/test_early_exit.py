"""A sample that is left early answers, and costs, what a run of just these steps does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snn_deploy
from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import analysis, runs
from snn_deploy.deploy.cli import OK, USAGE, run
from snn_deploy.deploy.data import Data, data_from
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.early_estimate import EarlyEstimate, answers_of
from snn_deploy.deploy.early_exit import (
    EarlyExit,
    check_early_exit,
    leads,
    leaving,
    shortened,
    so_far,
)
from snn_deploy.errors import OptionError
from snn_deploy.ir.network import Between
from snn_deploy.ir.neuron import Decode
from snn_deploy.ir.trace import EVERYTHING

STEPS = 16


@pytest.fixture(scope="module")
def plain(demo_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    output = tmp_path_factory.mktemp("early") / "net"
    return snn_deploy.export(demo_network, output=output, search=False)


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(4)
    arrays = {"input": 0.5 * rng.random((10, 1, 28, 28)), "label": rng.integers(0, 10, 10)}
    return data_from(arrays, ("input",))


def with_rule(deployment: Deployment, lead: float, after: int = 1) -> Deployment:
    options = {**deployment.configuration, "exit_lead": lead, "exit_after": after}
    return replace(deployment, configuration=options)


def decoded_by(deployment: Deployment, decode: Decode) -> Deployment:
    program = deployment.program
    spikes = decode in (Decode.COUNT, Decode.FIRST_SPIKE)  # which the readout never sends
    name = "lif3" if spikes else "li"
    outputs = tuple(replace(o, decode=decode, population=name) for o in program.outputs)
    return replace(deployment, program=replace(program, outputs=outputs))


@pytest.mark.parametrize(
    "decode", [Decode.COUNT, Decode.MEMBRANE_END, Decode.MEMBRANE_MEAN, Decode.MEMBRANE_MAX]
)
def test_the_answer_so_far_is_that_of_a_shorter_run(
    plain: Deployment, data: Data, decode: Decode
) -> None:
    deployment = decoded_by(plain, decode)
    program, backend = deployment.program, find_backend("event")
    (block,) = runs.blocks(data, deployment, 1000)
    trace = backend.run(program, block.inputs, EVERYTHING)
    record = so_far(program, program.outputs[0], trace, block)
    for steps in (1, 5, STEPS):
        short, own = shortened(deployment, data, steps)
        (part,) = runs.blocks(own, short, 1000)
        other = backend.run(program, part.inputs, EVERYTHING)
        answer = runs.program_answer(program, program.outputs[0], other, part)
        unit = 1.0 if decode is Decode.COUNT else float(program.population("li").unit)
        np.testing.assert_allclose(record[:, steps - 1], unit * answer, rtol=1e-12)


@given(
    seed=st.integers(0, 2**31),
    first=st.floats(0.1, 5),
    more=st.floats(0, 5),
    after=st.integers(1, 12),
)
def test_samples_are_left_at_the_first_lead_and_a_larger_one_leaves_none_sooner(
    seed: int, first: float, more: float, after: int
) -> None:
    record = np.cumsum(np.random.default_rng(seed).integers(0, 3, (4, 9, 3)), axis=1).astype(float)
    left = leaving(record, EarlyExit(lead=first, after=after))
    later = leaving(record, EarlyExit(lead=first + more, after=after))
    assert np.all(left <= later)
    for sample, steps in enumerate(left):
        ordered = np.sort(record[sample], axis=1)
        ahead = ordered[:, -1] - ordered[:, -2] >= first
        np.testing.assert_array_equal(leads(record)[sample] >= first, ahead)
        expected = [n + 1 for n in range(9) if ahead[n] and n + 1 >= after] or [9]
        assert steps == expected[0]


def test_every_command_goes_by_the_rule_of_the_artifact(
    demo_network: Path, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "early"
    words = ["export", str(demo_network), "--no-search", "--output", str(output)]
    assert run([*words, "--exit-lead", "0.3", "--exit-after", "3"]) == OK
    capsys.readouterr()
    deployment = snn_deploy.load(output)
    assert deployment.early_exit == EarlyExit(lead=0.3, after=3)
    answers = answers_of(deployment, data)
    assert len(set(answers.steps.tolist())) > 1
    assert answers.steps.min() >= 3
    for steps in set(answers.steps.tolist()):
        chosen = np.flatnonzero(answers.steps == steps)
        short, part = shortened(deployment, data.chosen(chosen), steps)
        whole = answers_of(replace(short, configuration={}), part)
        np.testing.assert_array_equal(answers.predicted[chosen], whole.predicted)
    simulation = snn_deploy.simulate(deployment, input=data)
    assert simulation.answers[0].predicted == tuple(answers.predicted.tolist())
    assert simulation.left_after == answers.steps.mean()
    assert f"early exit after {answers.steps.mean():.2f} steps in the mean" in str(simulation)
    right = int(np.count_nonzero(answers.predicted == data.label))
    path = tmp_path / "digits.npz"
    np.savez(path, input=data.arrays[0].values, label=data.label)
    assert snn_deploy.evaluate(deployment, data=path, real=False).correct == right


def test_energy_is_that_of_the_steps_that_ran(plain: Deployment, data: Data) -> None:
    deployment = with_rule(plain, 0.3, 3)
    found = snn_deploy.estimate(deployment, input=data)
    assert isinstance(found, EarlyEstimate)
    answers = answers_of(deployment, data)
    total = 0.0
    for sample, steps in enumerate(answers.steps.tolist()):
        counted = min(steps + plain.program.lag, STEPS)
        short, part = shortened(plain, data.part(sample, sample + 1), counted)
        total += analysis.estimate(short, part, None).value
    assert found.value == pytest.approx(total / data.samples, rel=1e-9)
    assert found.low <= found.value <= found.high
    assert found.value < snn_deploy.estimate(plain, input=data).value
    assert "reading the output after each step is not priced" in str(found)


def test_metrics_of_whole_samples_are_refused_where_they_are_left_early(
    plain: Deployment, data: Data
) -> None:
    with pytest.raises(OptionError) as caught:
        snn_deploy.estimate(with_rule(plain, 0.3, 3), input=data, neurobench=True)
    assert str(caught.value) == (
        "error[SNN102]: NeuroBench's metrics are of whole samples, and this artifact leaves them "
        "early\n"
        "  at: --neurobench\n"
        "  fix: leave --neurobench out, or export without --exit-lead"
    )


def test_a_lead_that_nobody_reaches_changes_nothing(plain: Deployment, data: Data) -> None:
    deployment = with_rule(plain, 1e9)
    one, other = answers_of(plain, data), answers_of(deployment, data)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    whole = snn_deploy.estimate(plain, input=data).value
    assert snn_deploy.estimate(deployment, input=data).value == pytest.approx(whole)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            "--exit-after 3",
            "error[SNN102]: --exit-after says when a sample is left at the earliest, and none is "
            "left\n  at: --exit-after\n  fix: --exit-lead 1, or leave --exit-after out\n",
        ),
        (
            "--exit-lead 0",
            "error[SNN102]: a lead of 0.0\n  at: --exit-lead\n  fix: --exit-lead 1\n",
        ),
        (
            "--exit-lead 1 --exit-after 0",
            "error[SNN102]: exit after 0 steps\n  at: --exit-after\n  fix: --exit-after 1\n",
        ),
    ],
)
def test_rules_that_make_no_sense_are_refused(
    demo_network: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: str,
    text: str,
) -> None:
    words = ["export", str(demo_network), "--no-search", "--output", str(tmp_path / "net")]
    assert run([*words, *options.split()]) == USAGE
    assert capsys.readouterr().err == text


def test_programs_without_a_lead_are_refused(plain: Deployment) -> None:
    program = decoded_by(plain, Decode.FIRST_SPIKE).program
    check_early_exit(None, program)
    with pytest.raises(OptionError) as caught:
        check_early_exit(EarlyExit(lead=1), program)
    assert str(caught.value) == (
        "error[SNN102]: no sample of this network can be left early: the first spike is the answer "
        "already\n  at: --exit-lead\n  fix: leave --exit-lead out"
    )
    boundary = replace(plain.program.boundary, between=Between.CONTINUOUS)
    with pytest.raises(OptionError, match="its samples follow each other without a break"):
        check_early_exit(EarlyExit(lead=1), replace(plain.program, boundary=boundary))
