"""Answers are counted rightly, and alike for every way in which blocks are made and run."""

import itertools
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snn_deploy
from snn_deploy.deploy import evaluating_block
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.evaluating_results import (
    Answered,
    Evaluation,
    interval,
)
from snn_deploy.errors import DataError, DeployError, OptionError
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.network import Between, Boundary

HERE: dict[str, Any] = {"backend": "reference"}
"""The plain simulator: nothing is compiled."""


@pytest.fixture(scope="module")
def deployment(two_layers: nir.NIRGraph, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return layers with lags, whose weights are real and so lose something."""
    folder = tmp_path_factory.mktemp("evaluated") / "net"
    return snn_deploy.export(two_layers, dialect="nir", dt=1e-3, output=folder)


def samples(count: int = 37) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    spikes = rng.random((count, 12, 5)) < rng.random((count, 1, 5))
    return {"input": spikes.astype(np.uint8), "label": rng.integers(0, 4, count)}


@pytest.fixture(scope="module")
def expected(deployment: Deployment) -> Evaluation:
    return snn_deploy.evaluate(deployment, data=samples(), block=37, **HERE)


def test_counts_are_those_of_the_simulation(deployment: Deployment, expected: Evaluation) -> None:
    data = samples()
    plain = snn_deploy.simulate(deployment, input=data, backend="reference")
    answers = np.array(plain.answers[0].predicted)
    assert expected.correct == plain.answers[0].correct
    assert expected.activity == plain.activity
    assert expected.steps == 12
    for pair in expected.confusion:
        both = (data["label"] == pair.label) & (answers == pair.predicted)
        assert pair.samples == np.count_nonzero(both)
    assert sum(pair.samples for pair in expected.confusion) == 37


@pytest.mark.parametrize("block", [1, 2, 5, 16, 36, 100])
def test_the_result_is_the_same_for_every_block_size(
    deployment: Deployment, expected: Evaluation, block: int
) -> None:
    assert snn_deploy.evaluate(deployment, data=samples(), block=block, **HERE) == expected


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("block", [4, 9])
def test_the_result_is_the_same_for_every_number_of_threads(
    deployment: Deployment, expected: Evaluation, workers: int, block: int, tmp_path: Path
) -> None:
    np.savez(tmp_path / "d.npz", **samples())
    with ThreadPoolExecutor(workers) as executor:
        for data in (samples(), tmp_path / "d.npz"):
            found = snn_deploy.evaluate(
                deployment, data=data, executor=executor, block=block, **HERE
            )
            assert found == expected


def test_a_deployment_without_a_folder_is_sent_to_workers_itself(
    deployment: Deployment, expected: Evaluation
) -> None:
    loose = replace(deployment, folder=None)
    _ = loose.network  # kept by it, and not to be sent
    with ThreadPoolExecutor(2) as executor:
        found = snn_deploy.evaluate(loose, data=samples(), executor=executor, block=9, **HERE)
    assert found == expected


@pytest.mark.parametrize("workers", [2, 3])
def test_the_result_is_the_same_for_every_number_of_processes(
    deployment: Deployment,
    expected: Evaluation,
    workers: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez(tmp_path / "d.npz", **samples())
    words = ["evaluate", str(deployment.folder), "--data", str(tmp_path / "d.npz"), "--block", "8"]
    assert run([*words, "--backend", "reference", "--workers", str(workers), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert run([*words, "--backend", "reference", "--json"]) == 0
    assert found == json.loads(capsys.readouterr().out)
    assert found["correct"] == expected.correct
    assert found["accuracy"] == expected.accuracy
    assert found["interval"] == list(expected.interval)


def test_real_values_do_not_depend_on_the_rows_that_are_computed_together(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sample is always in the same row of a batch of the same size."""
    seen: dict[bytes, set[tuple[int, int]]] = {}
    simulate = evaluating_block.simulate

    def watched(network: Any, inputs: Any, record: Any) -> Any:
        for row, values in enumerate(inputs[0].values):
            seen.setdefault(values.tobytes(), set()).add((row, len(inputs[0].values)))
        return simulate(network, inputs, record)

    monkeypatch.setattr(evaluating_block, "simulate", watched)
    data = samples()
    batches: list[dict[bytes, set[tuple[int, int]]]] = []
    for block in (1, 5, 37):
        seen.clear()
        snn_deploy.evaluate(deployment, data=data, block=block, first=3, **HERE)
        batches.append(dict(seen))
    for number, sample in enumerate(data["input"][3:]):
        own = (number % evaluating_block.TILE, evaluating_block.TILE)
        assert all(own in batch[sample.tobytes()] for batch in batches)


def test_samples_are_chosen_by_number(deployment: Deployment) -> None:
    data = samples()
    part = {name: array[5:16] for name, array in data.items()}
    chosen = snn_deploy.evaluate(deployment, data=data, first=5, samples=11, block=4, **HERE)
    assert chosen == snn_deploy.evaluate(deployment, data=part, **HERE)
    for first, count in ((0, 38), (37, None), (-1, 3)):
        with pytest.raises(OptionError, match="of a data set with 37"):
            snn_deploy.evaluate(deployment, data=data, first=first, samples=count, **HERE)


def test_a_continuous_run_is_one_block(deployment: Deployment) -> None:
    boundary = Boundary(between=Between.CONTINUOUS, idle=1)
    stream = replace(
        deployment, folder=None, program=replace(deployment.program, boundary=boundary)
    )
    data = samples(9)
    plain = snn_deploy.simulate(stream, input=data, backend="reference")
    found = snn_deploy.evaluate(stream, data=data, real=False, block=2, **HERE)
    assert found.correct == plain.answers[0].correct
    assert found.activity == plain.activity


def test_rates_are_drawn_by_the_number_of_a_sample(deployment: Deployment) -> None:
    rates = replace(deployment, folder=None, encoding=Encoding(how=Encode.RATE, steps=9, seed=4))
    rng = np.random.default_rng(1)
    data = {"input": rng.random((20, 5)), "label": rng.integers(0, 4, 20)}
    results = [snn_deploy.evaluate(rates, data=data, block=b, **HERE) for b in (1, 6, 20)]
    assert results[0] == results[1] == results[2]


def test_another_output_is_judged_by_its_name() -> None:
    two = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.eye(2)),
        "if": nir.IF(r=two, v_threshold=0.5 * two),
        "swap": nir.Linear(np.array([[0.0, 1.0], [1.0, 0.0]])),
        "other": nir.IF(r=two, v_threshold=0.5 * two),
        "a": nir.Output(np.array([2])),
        "b": nir.Output(np.array([2])),
    }
    edges = [("input", "fc"), ("fc", "if"), ("if", "a"), ("if", "swap"), ("swap", "other")]
    graph = nir.NIRGraph(nodes, [*edges, ("other", "b")], type_check=False)
    deployment = snn_deploy.export(graph, dialect="nir", dt=1.0)
    label = np.arange(8) % 2
    data = {"input": np.repeat(np.eye(2)[label][:, None], 5, axis=1), "label": label}
    judged = {name: snn_deploy.evaluate(deployment, data=data, output=name) for name in ("a", "b")}
    assert (judged["a"].correct, judged["a"].correct_real) == (8, 8)
    assert (judged["b"].correct, judged["b"].correct_real) == (0, 0)
    assert snn_deploy.evaluate(deployment, data=data) == judged["a"]
    with pytest.raises(DeployError) as problem:
        snn_deploy.evaluate(deployment, data=data, output="c")
    assert str(problem.value) == (
        "error[SNN101]: no output is called 'c'; there are a, b\n  at: --output\n  fix: --output a"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 0}, "0 workers"),
        ({"workers": 2, "dask": "tcp://localhost:1"}, "blocks are run in one place"),
        ({"block": 0}, "blocks of 0 samples"),
        ({"sensor": "34"}, "a sensor of '34' is not ROWSxCOLUMNS"),
        ({"polarity": "both"}, "no polarity is called 'both'"),
    ],
)
def test_senseless_options_are_refused(
    deployment: Deployment, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeployError, match=message) as problem:
        snn_deploy.evaluate(deployment, data=samples(), **changes, **HERE)
    assert problem.value.exit_status == 2


def test_data_without_labels_are_refused(deployment: Deployment) -> None:
    with pytest.raises(DataError) as problem:
        snn_deploy.evaluate(deployment, data=samples()["input"], **HERE)
    assert str(problem.value) == (
        "error[SNN208]: the data has no labels\n"
        "  fix: np.savez(FILE, input=array, label=whole numbers); --labels FILE adds them to data "
        "without"
    )


def test_labels_that_are_no_class_are_refused(deployment: Deployment) -> None:
    data = samples()
    data["label"][20] = 4
    with pytest.raises(DataError) as problem:
        snn_deploy.evaluate(deployment, data=data, block=6, **HERE)
    assert str(problem.value) == (
        "error[SNN208]: sample 20 has label 4, but output 'output' has 4 classes, 0 to 3\n"
        "  fix: give labels from 0 on; --output NAME judges another output"
    )


def test_another_shape_names_both(deployment: Deployment) -> None:
    data = samples() | {"input": np.zeros((37, 12, 4), np.uint8)}
    with pytest.raises(DataError) as problem:
        snn_deploy.evaluate(deployment, data=data, **HERE)
    assert str(problem.value) == (
        "error[SNN208]: each step of the input has shape (4,), but the program reads (5,)\n"
        "  at: input\n  fix: give an array of shape [sample, step, 5]"
    )


def test_recordings_are_not_encoded_again(deployment: Deployment, tmp_path: Path) -> None:
    current = replace(deployment, folder=None, encoding=Encoding(how=Encode.CURRENT, steps=9))
    (tmp_path / "r.bin").write_bytes(bytes(5))
    with pytest.raises(OptionError) as problem:
        snn_deploy.evaluate(current, data=tmp_path / "r.bin", step_us=1000, **HERE)
    assert str(problem.value) == (
        f"error[SNN102]: a recording is not encoded by current\n  at: {tmp_path / 'r.bin'}\n"
        "  fix: export again with --encode recorded"
    )


PEAKS = """
import sys, tracemalloc, snn_deploy
tracemalloc.start()
for samples in (40, 40, 800):
    tracemalloc.reset_peak()
    snn_deploy.evaluate(
        sys.argv[1], data=sys.argv[2], backend="reference", block=10, samples=samples
    )
    print(tracemalloc.get_traced_memory()[1])
"""
"""The first of the three includes what is imported."""


def test_memory_follows_the_block_and_not_the_data(tmp_path: Path) -> None:
    two = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2000])),
        "fc": nir.Linear(np.eye(2, 2000)),
        "if": nir.IF(r=two, v_threshold=two),
        "output": nir.Output(np.array([2])),
    }
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))
    snn_deploy.export(graph, dialect="nir", dt=1e-3, output=tmp_path / "net")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("input", (800, 25, 2000), np.uint8, chunks=(10, 25, 2000))
        file["label"] = np.zeros(800, np.int64)
    words = [sys.executable, "-c", PEAKS, str(tmp_path / "net"), str(tmp_path / "d.h5")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    _, some, all_of_them = map(int, done.stdout.split())
    assert all_of_them < some + 2 * 2**20  # of 38 MiB of data


# --- results ----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_where_the_share_is_no_surprise(counts: tuple[int, int]) -> None:
    """Its ends are the shares p with |right/n - p| = z * sqrt(p(1-p)/n), Wilson's definition."""
    right, n = counts
    low, high = interval(right, n)
    assert 0 <= low <= right / n <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            distance = 1.959963984540054 * math.sqrt(end * (1 - end) / n)
            assert abs(right / n - end) == pytest.approx(distance, rel=1e-6)


def test_the_interval_of_a_published_example() -> None:
    """Newcombe 1998, Statistics in Medicine 17:857-872, table I: 81 of 263, 15 of 148."""
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def result(**changes: Any) -> Evaluation:
    fields: dict[str, Any] = {
        "samples": 200,
        "steps": 10,
        "backend": "event",
        "output": "out",
        "correct": 190,
        "correct_real": 192,
        "same": 197,
        "confusion": (
            Answered(label=0, predicted=0, samples=90),
            Answered(label=0, predicted=2, samples=10),
            Answered(label=2, predicted=2, samples=100),
        ),
        "classes": (),
        "activity": (
            evaluating_layer("hidden", 40, 120.0, 0),
            evaluating_layer("out", 3, 7.5, 2),
        ),
        "late": 0,
    }
    return Evaluation(**{**fields, **changes})


def evaluating_layer(name: str, neurons: int, spikes: float, overflows: int) -> Any:
    from snn_deploy.deploy.outcomes import LayerActivity

    return LayerActivity(
        layer=name,
        neurons=neurons,
        spikes=spikes,
        active=spikes / (neurons * 10),
        overflows=overflows,
        proven=overflows == 0,
    )


def test_evaluation_of_few_classes(golden: Any) -> None:
    golden(f"{result()}\n")


def test_evaluation_of_named_classes_and_late_events(golden: Any) -> None:
    named = result(classes=("ant", "bee", "cat"), late=3, correct_real=None, same=None)
    golden(f"{named}\n")


def test_evaluation_of_many_classes(golden: Any) -> None:
    pairs = [Answered(label=n, predicted=n, samples=10) for n in range(20)]
    pairs += [Answered(label=n, predicted=(n * 7) % 20, samples=n) for n in range(1, 14)]
    golden(f"{result(confusion=tuple(pairs))}\n")
