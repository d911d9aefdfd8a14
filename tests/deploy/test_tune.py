"""`tune` finds settings, tells what they do on other data than it chose on, and can be ended."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import unchecked

import snn_deploy
from snn_deploy.deploy.cli import ERROR, OK, USAGE, run
from snn_deploy.deploy.data import data_from
from snn_deploy.deploy.tuning.apart import apart
from snn_deploy.deploy.tuning.choosing import chosen, front
from snn_deploy.deploy.tuning.config import config_text, read_config
from snn_deploy.deploy.tuning.measuring import Measured, memory
from snn_deploy.deploy.tuning.results import Tuning
from snn_deploy.deploy.tuning.setting import Knob, Setting
from snn_deploy.deploy.tuning.study import Aim, Tried
from snn_deploy.deploy.tuning.wanted import wanted_from
from snn_deploy.errors import OptionError
from snn_deploy.frontends import write_nir
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import ResetKind

pytest.importorskip("optuna")

CLASSES, PIXELS, TRIALS = 3, 12, 10


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    """Switch type checks off: every trial compiles and runs a program, which others check."""
    with unchecked():
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a network that tells three patterns of twelve pixels apart."""
    rng = np.random.default_rng(0)
    graph = LayerGraph(inputs={"input": (PIXELS,)})
    patterns = np.repeat(np.eye(CLASSES), PIXELS // CLASSES, axis=1)
    first = np.repeat(patterns - 0.3, 4, axis=0) + 0.1 * rng.normal(size=(4 * CLASSES, PIXELS))
    second = np.repeat(np.eye(CLASSES) - 0.2, 4, axis=1)
    cell = Cell(decay=np.asarray(0.8), reset=Reset(kind=ResetKind.VALUE))
    for name, weight in (("one", first), ("two", second)):
        source = "input" if name == "one" else "lif1"
        graph.add(name, Linear(weight=weight.astype(np.float32)), source)
        graph.add("lif1" if name == "one" else "lif2", cell, name)
    graph.outputs["output"] = "lif2"
    form = to_nir(graph)
    path = tmp_path_factory.mktemp("tune") / "patterns.nir"
    path.write_bytes(write_nir(form.graph, form.annotation))
    return path


@pytest.fixture(scope="module")
def data(model: Path) -> Path:
    """Return 120 noisy patterns."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, CLASSES, 120)
    patterns = np.repeat(np.eye(CLASSES), PIXELS // CLASSES, axis=1)
    rates = np.clip(0.15 + 0.35 * patterns[label] + 0.15 * rng.normal(size=(120, PIXELS)), 0, 1)
    path = model.parent / "data.npz"
    np.savez(path, input=rates, label=label)
    return path


OPTIONS = {"encode": "rate", "steps": 12, "trials": TRIALS, "preset": "plain"}


def words(model: Path, data: Path, output: Path, **more: object) -> list[str]:
    options = {**OPTIONS, "data": data, "output": output, **more}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return ["tune", str(model), *flags]


@pytest.fixture(scope="module")
def tuned(model: Path, data: Path) -> Tuning:
    return snn_deploy.tune(model, data=data, output=model.parent / "whole", **OPTIONS)


def trials_of(folder: Path) -> list[tuple[int, dict[str, object], object]]:
    """Return number, parameters and values of every finished trial of a journal."""
    import optuna

    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(folder / "trials.journal"))
    )
    (study,) = storage.get_all_studies()
    done = [t for t in storage.get_all_trials(study._study_id) if t.state.is_finished()]
    return [(t.number, t.params, t.values) for t in done]


def test_a_killed_search_goes_on_and_ends_with_the_same_trials(
    tuned: Tuning, model: Path, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    code = "import sys; from snn_deploy.deploy.cli import main; main(sys.argv[1:])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words(model, data, output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(snn_deploy.__file__).parents[1])},
    )
    journal = output / "trials.journal"
    end = time.monotonic() + 120
    while time.monotonic() < end and child.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"measured") >= 3:
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    _, complaint = child.communicate()
    assert child.returncode == -signal.SIGKILL, complaint.decode()
    left = len(trials_of(output))
    assert 2 <= left < TRIALS
    with journal.open("ab") as file:
        file.write(b'{"op_code": 5, "worker_id"')  # cut off in the middle of a line
    again = snn_deploy.tune(model, data=data, output=output, **OPTIONS)
    assert trials_of(output) == trials_of(Path(tuned.folder))
    assert [t[0] for t in trials_of(output)] == list(range(TRIALS))
    assert replace(again, folder=tuned.folder) == tuned
    for name in ("chosen.toml", "front.svg"):
        assert (output / name).read_bytes() == (Path(tuned.folder) / name).read_bytes()


def test_every_executor_tries_the_same_and_more_trials_go_on(
    tuned: Tuning, model: Path, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "threads"
    few = {**OPTIONS, "trials": 3}
    with ThreadPoolExecutor(1) as executor:
        snn_deploy.tune(model, data=data, output=output, executor=executor, **few)
    assert trials_of(output) == trials_of(Path(tuned.folder))[:3]
    snn_deploy.tune(model, data=data, output=output, workers=2, **OPTIONS)
    assert trials_of(output) == trials_of(Path(tuned.folder))


def test_the_file_of_the_chosen_setting_makes_exactly_that_artifact(
    tuned: Tuning, model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(tuned.folder)
    output = tmp_path / "net"
    config = ["--config", str(folder / "chosen.toml"), "--output", str(output)]
    assert run(["export", str(model), *config]) == OK
    capsys.readouterr()
    deployment = snn_deploy.load(output)
    assert deployment.program.digest == tuned.chosen.test.digest
    assert memory(deployment.program) == tuned.chosen.test.memory
    chosen_setting = tuned.chosen.setting
    rule = deployment.early_exit
    assert (None if rule is None else rule.lead) == chosen_setting.exit_lead
    test = samples_to_report_on(data)
    found = snn_deploy.evaluate(deployment, data=test, real=False)
    assert (found.correct, found.samples) == (
        tuned.chosen.test.correct,
        tuned.chosen.test.samples,
    )
    energy = snn_deploy.estimate(deployment, input=test).value
    assert energy == pytest.approx(tuned.chosen.test.energy, rel=1e-9)
    again = run(["export", str(model), *config[:2], "--force", "--output", str(output)])
    assert (again, snn_deploy.load(output).program.digest) == (OK, deployment.program.digest)
    flags = ["--encode", "rate", "--preset", "plain", *tuned.chosen.flags.split()]
    flags += [] if chosen_setting.steps else ["--steps", "12"]
    calibrate = ["--calibrate", str(folder / "calibrate.npz"), "--output", str(tmp_path / "flags")]
    assert run(["export", str(model), *flags, *calibrate]) == OK
    assert snn_deploy.load(tmp_path / "flags").program.digest == deployment.program.digest


def samples_to_report_on(path: Path) -> object:
    wanted = wanted_of()
    return apart(path, None, ("input",), wanted).test


def wanted_of(**more: object) -> object:
    options = {
        "knobs": None, "per_layer": True, "objective": "energy", "max_drop": 0.5, "trials": 10,
        "sampler": "tpe", "seed": 0, "profile": None, "split": 0.5, "samples": 1000,
    }  # fmt: skip
    return wanted_from(**{**options, **more})  # type: ignore[arg-type]


def test_what_is_chosen_on_and_what_is_told_are_different_samples(data: Path) -> None:
    parts = apart(data, None, ("input",), wanted_of(split=0.25, samples=40))
    assert (parts.test.samples, parts.choose.samples) == (30, 40)
    assert not set(parts.test.number.tolist()) & set(parts.choose.number.tolist())
    assert parts.chosen_on == "40 samples of data.npz"
    assert parts.tested_on == "30 others of it, drawn at random"
    both = apart(data, data_from(data, ("input",)).part(0, 7), ("input",), wanted_of())
    assert (both.choose.samples, both.test.samples) == (120, 7)


def test_what_a_knob_saves_is_what_it_costs_to_put_it_back(
    tuned: Tuning, model: Path, data: Path
) -> None:
    setting = tuned.chosen.setting
    assert setting.turned
    calibrate = Path(tuned.folder) / "calibrate.npz"
    test = samples_to_report_on(data)
    for saving in tuned.savings:
        if saving.knob not in setting.turned:
            assert (saving.turned, saving.energy, saving.memory, saving.latency) == (False, 0, 0, 0)
            continue
        options = {"encode": "rate", "preset": "plain", "steps": 12, "calibrate": calibrate}
        options |= setting.without(saving.knob).options
        other = snn_deploy.export(model, dry_run=True, **options)
        energy = snn_deploy.estimate(other, input=test).value
        assert saving.energy == pytest.approx(energy - tuned.chosen.test.energy, rel=1e-9)
        assert saving.memory == memory(other.program) - tuned.chosen.test.memory
    assert {saving.knob for saving in tuned.savings} == set(Knob)


def test_the_result_is_printed_and_written(
    tuned: Tuning, model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = str(tuned)
    for part in (
        "chosen on 60 samples of data.npz; tested on 60 others of it, drawn at random",
        f"{TRIALS} trials, {len(tuned.front)} on the front of accuracy against energy",
        f"it loses {tuned.drop:.2f} points and saves {tuned.saved:.1%} of the energy",
        "what each knob saves",
        f"snn-deploy export MODEL --config {tuned.folder}/chosen.toml",
    ):
        assert part in shown
    record = json.loads((Path(tuned.folder) / "tune.json").read_text())
    assert record["chosen"]["trial"] == tuned.chosen.trial
    assert run([*words(model, data, Path(tuned.folder)), "--json"]) == OK  # nothing left to try
    assert json.loads(capsys.readouterr().out)["saved"] == tuned.saved
    file = tomllib.loads((Path(tuned.folder) / "chosen.toml").read_text())
    assert file["export"]["calibrate"] == "calibrate.npz"


def measurement(correct: int, energy: float, memory: int) -> Measured:
    return Measured(
        correct=correct, samples=10, energy=energy, energy_low=energy, energy_high=energy,
        memory=memory, latency=1.0, steps=1.0, digest="",
    )  # fmt: skip


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12
    ),
    drop=st.integers(0, 4),
)
def test_the_front_is_what_no_trial_beats_and_the_chosen_one_is_the_least_of_it(
    rows: list[tuple[int, int, int]], drop: int
) -> None:
    tried = [
        Tried(number=n, setting=Setting(), measured=measurement(*row), refused="")
        for n, row in enumerate(rows)
    ]
    aims = (Aim.ENERGY, Aim.MEMORY)
    kept = {one.number for one in front(tried, aims)}

    def beats(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
        return one != other and one[0] >= other[0] and one[1] <= other[1] and one[2] <= other[2]

    for number, row in enumerate(rows):
        beaten = any(beats(other, row) for other in rows)
        assert (number in kept) == (not beaten and row not in rows[:number])
    best = chosen(tried, aims, 10 * drop)
    enough = [row for row in rows if row[0] >= rows[0][0] - drop]
    assert best.measured is not None
    assert best.measured.energy == min(energy for _, energy, _ in enough)
    assert best.measured.correct >= rows[0][0] - drop


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (
            {"knobs": "bits,seed"},
            USAGE,
            "error[SNN102]: --knobs is one of bits, thresholds, steps, exit, not 'seed'\n"
            "  fix: --knobs bits\n",
        ),
        (
            {"objective": "power"},
            USAGE,
            "error[SNN102]: --objective is one of energy, memory, latency, not 'power'\n"
            "  fix: --objective energy\n",
        ),
        (
            {"trials": 0},
            USAGE,
            "error[SNN102]: 0 trials\n  at: --trials\n  fix: --trials 60\n",
        ),
        (
            {"split": 1},
            USAGE,
            "error[SNN102]: a share of 1\n  at: --split\n  fix: --split 0.5\n",
        ),
        (
            {"profile": "nobodys"},
            USAGE,
            "error[SNN101]: no energy profile is called 'nobodys'; there are ",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, object],
    status: int,
    text: str,
) -> None:
    assert run(words(model, data, tmp_path / "out", **options)) == status
    assert capsys.readouterr().err.startswith(text)


def test_a_folder_of_another_search_or_of_something_else_is_refused(
    tuned: Tuning, model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words(model, data, Path(tuned.folder), objective="memory")) == USAGE
    assert capsys.readouterr().err == (
        "error[SNN102]: the journal is of another search: it differs in objective\n"
        f"  at: {tuned.folder}/trials.journal\n"
        "  fix: --output OTHER, or repeat what it was begun with\n"
    )
    (tmp_path / "letter.txt").write_text("dear reader")
    assert run(words(model, data, tmp_path)) == ERROR
    assert capsys.readouterr().err == (
        "error[SNN601]: the folder holds something else than a search that could go on\n"
        f"  at: {tmp_path}\n"
        "  fix: --output OTHER\n"
    )
    output = tmp_path / "damaged"
    output.mkdir()
    (output / "trials.journal").write_bytes(b"no journal\n")
    assert run(words(model, data, output)) == ERROR
    assert capsys.readouterr().err.startswith("error[SNN208]: this is no journal of a search: ")


def test_knobs_that_a_network_lacks_are_refused(model: Path, data: Path, tmp_path: Path) -> None:
    spikes = np.random.default_rng(0).integers(0, 2, (20, 9, PIXELS))
    recorded = {"input": spikes, "label": np.arange(20) % CLASSES}
    with pytest.raises(OptionError) as caught:
        snn_deploy.tune(model, data=recorded, output=tmp_path / "out", knobs="steps")
    assert str(caught.value) == (
        "error[SNN102]: recorded data has its own number of steps\n"
        "  at: --knobs steps\n"
        "  fix: --knobs bits,thresholds,exit"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("what", "this is no file of options: "),
        ("#" * (1 << 20 | 1), "this is no file of options: 1048577 bytes are no list of options"),
        ("a = 1", "this is no file of options: its schema is None, not 'snn-deploy/config/1'"),
        ('schema = "snn-deploy/config/1"\n[export]\nstep = 3', "export has no option 'step'"),
        ('schema = "snn-deploy/config/1"\n[export]\nsteps = "3"', "steps = '3': Expected `int"),
    ],
)
def test_files_of_options_are_checked(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(snn_deploy.errors.DeployError) as caught:
        read_config(path)
    assert caught.value.message.startswith(complaint)
    assert caught.value.where == str(path)


def test_a_file_of_options_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(snn_deploy.errors.FileMissingError) as caught:
        read_config(tmp_path / "none.toml")
    assert str(caught.value) == f"error[SNN201]: there is no such file\n  at: {tmp_path}/none.toml"


def test_options_are_read_as_they_were_written(tmp_path: Path) -> None:
    options = {
        "arch": tmp_path / "nets" / "net.toml",
        "sample_shape": (1, 28, 28),
        "dt": 0.1,
        "steps": 9,
        "prove": True,
        "bits": {"lif1": 4, "a b": 3},
    }
    path = tmp_path / "to" / "config.toml"
    path.parent.mkdir()
    path.write_text(config_text(options, path.parent, "who\n\nwhy"))
    assert path.read_text().startswith("# who\n#\n# why\nschema = ")
    assert '\narch = "../nets/net.toml"\n' in path.read_text()
    read = read_config(path)
    assert Path(read.pop("arch")).resolve() == options.pop("arch")
    assert read == options | {"sample_shape": "1x28x28"}


def test_what_is_given_comes_before_the_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    head = 'schema = "snn-deploy/config/1"\n[export]\nencode = "rate"\n'
    path.write_text(head + "steps = 9\n[export.bits]\nlif1 = 4\n")
    one = snn_deploy.export(model, config=path, dry_run=True)
    assert (one.encoding.steps, one.configuration["bits"]) == (9, {"lif1": 4})
    other = snn_deploy.export(model, config=path, steps=5, dry_run=True)
    assert other.encoding.steps == 5
