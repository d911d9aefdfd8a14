"""What a user mistypes or overlooks is refused, and the way out that is told is one."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.data import Data, encode
from snn_deploy.errors import DataError, OptionError
from snn_deploy.ir.codecs import Encode, Encoding
from snn_deploy.ir.trace import Values


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: files, some of them wrong, and an artifact, `ready`."""
    monkeypatch.chdir(place)
    return place


def complaint(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that is refused; return what it says."""
    status = run(words.split())
    printed = capsys.readouterr()
    assert status in (1, 2), printed
    assert printed.out == ""
    return printed.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            "simulate ready --input data.npz --first 8",
            "error[SNN102]: no sample 8 of a data set with 8, which begins with sample 0\n"
            "  at: --first\n"
            "  fix: --first N, a number of 0 to 7\n",
        ),
        (
            "simulate ready --input data.npz --first 6 --samples 3",
            "error[SNN102]: 3 samples from sample 6 on, of a data set with 8\n"
            "  at: --samples\n"
            "  fix: --samples N, a number of 1 to 2; by default all\n",
        ),
        (
            "evaluate ready --data data.npz --samples 0",
            "error[SNN102]: 0 samples from sample 0 on, of a data set with 8\n"
            "  at: --samples\n"
            "  fix: --samples N, a number of 1 to 8; by default all\n",
        ),
        (
            "simulate model.nir --input data.npz",
            "error[SNN603]: an artifact is a folder, and this is a file\n"
            "  at: model.nir\n"
            "  fix: give the folder that snn-deploy export MODEL writes\n",
        ),
        (
            "diff ready nowhere",
            "error[SNN603]: there is no such folder\n"
            "  at: nowhere\n"
            "  fix: give artifact folders, or folders with program.json and program.npz\n",
        ),
        (
            "report ready --samples 3",
            "error[SNN102]: --samples says something of data, and none are given\n"
            "  at: --samples\n"
            "  fix: --input FILE, or leave --samples out\n",
        ),
        (
            "diff ready ready --first 3",
            "error[SNN102]: --first says something of data, and none are given\n"
            "  at: --first\n"
            "  fix: --data FILE, or leave --first out\n",
        ),
        (
            "simulate ready --input data.npz --bin-width 0.001",
            "error[SNN208]: this is no recording of events: those end in .bin, .aedat4, .raw\n"
            "  at: data.npz\n"
            "  fix: leave --bin-width out, if it holds steps\n",
        ),
        (
            "evaluate ready --data data.npz --steps 3",
            "error[SNN102]: --steps says how events become steps, and these data are no events\n"
            "  at: --steps\n"
            "  fix: leave --steps out\n",
        ),
        (
            "evaluate ready --data data.npz --from-first",
            "error[SNN102]: --from-first says how events become steps, "
            "and these data are no events\n"
            "  at: --from-first\n"
            "  fix: leave --from-first out\n",
        ),
        (
            "evaluate ready --data data.npz --journal nowhere/j",
            "error[SNN602]: the journal could not be written: No such file or directory; "
            "the blocks in it stay\n"
            "  at: nowhere/j\n"
            "  fix: --journal FILE, in a folder that is there and may be written\n",
        ),
        (
            "simulate ready --input data.npz --samples 1.5",
            'error[SNN100]: Invalid value for --samples: unable to convert "1.5" into int.\n'
            "  fix: snn-deploy simulate --help\n",
        ),
        (
            "inspect ready --dt 3",
            "error[SNN102]: --dt says how a model file is read, and this is an artifact\n"
            "  at: --dt\n"
            "  fix: leave --dt out\n",
        ),
        (
            "nir model.nir --output model.nir",
            "error[SNN601]: the output is a file that this command reads, "
            "so --force does not replace it\n"
            "  at: model.nir\n"
            "  fix: --output FILE writes elsewhere\n",
        ),
    ],
)
def test_a_slip_is_told_with_the_way_out(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, text: str
) -> None:
    assert complaint(words, capsys) == text


def test_a_fraction_in_a_file_of_defaults_is_not_rounded(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "own.toml").write_text("[simulate]\nsamples = 2.5\n")
    found = complaint("simulate ready --input data.npz --config own.toml", capsys)
    assert 'unable to convert "2.5" into int' in found
    (here / "own.toml").write_text("[simulate]\nsamples = 2.0\n")
    assert run(["simulate", "ready", "--input", "data.npz", "--config", "own.toml"]) == 0


def test_a_profile_of_which_half_the_name_is_given_is_meant(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = complaint("estimate ready --input data.npz --profile loihi1", capsys)
    assert found.endswith("  fix: --profile loihi1-davies\n")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            np.full((1, 2, 4), 2**62),
            "error[SNN504]: the input value 4611686018427387904 lies outside the declared 0..1\n"
            "  at: input[0, 0, 0], first of 8\n"
            "  fix: export again with --input-unit U and --input-range LOW:HIGH in 32 bits: "
            "the program reads rint(value / U)\n",
        ),
        (
            np.full((1, 2, 4), 2**63 + 5, np.uint64),
            "error[SNN208]: a value of 9.22337e+18 times 1 is too large for a payload\n"
            "  at: input\n"
            "  fix: export again with a larger --input-unit U: the program reads rint(value / U)\n",
        ),
        (
            np.full((1, 2, 4), -1e300),
            "error[SNN208]: a value of 1e+300 times 1 is too large for a payload\n"
            "  at: input\n"
            "  fix: export again with a larger --input-unit U: the program reads rint(value / U)\n",
        ),
    ],
)
def test_a_huge_value_is_refused_with_a_way_out_that_export_takes(
    here: Path, capsys: pytest.CaptureFixture[str], values: np.ndarray, text: str
) -> None:
    np.savez("huge.npz", input=values)
    assert complaint("simulate ready --input huge.npz", capsys) == text


@pytest.mark.parametrize("encoder", ["rate", "current", "latency"])
def test_an_encoder_of_values_is_not_exported_without_steps(
    here: Path, capsys: pytest.CaptureFixture[str], encoder: str
) -> None:
    assert complaint(f"export model.nir --encode {encoder} --output made", capsys) == (
        f"error[SNN102]: the {encoder} encoder needs a number of steps\n"
        "  at: --encode\n"
        f"  fix: --encode {encoder} --steps T\n"
    )
    assert not (here / "made").exists()


def test_an_encoder_without_steps_names_the_options_of_an_export(here: Path) -> None:
    data = Data.of((Values(name="input", values=np.ones((2, 4))),))
    with pytest.raises(DataError) as caught:
        encode(data, Encoding(how=Encode.RATE))
    assert str(caught.value) == (
        "error[SNN208]: the rate encoder needs a number of steps\n"
        "  at: --encode\n"
        "  fix: export again with --encode rate --steps T"
    )


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan, np.inf])
def test_data_whose_steps_take_no_time_are_refused(here: Path, dt: float) -> None:
    np.savez("timed.npz", input=np.ones((3, 5, 4), np.uint8), label=np.zeros(3, int), dt=dt)
    with pytest.raises(DataError, match="but it takes a positive, finite time"):
        snn_deploy.evaluate("ready", data="timed.npz")


def test_arrays_have_steps_already(here: Path) -> None:
    with pytest.raises(OptionError, match="arrays have steps already"):
        snn_deploy.simulate("ready", input=np.ones((3, 5, 4), np.uint8), bin_width=1e-3)


def test_an_event_outside_is_told_the_command_that_has_the_options(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "far.bin").write_bytes(bytes([200, 100, 0, 0, 9]))
    assert complaint("simulate ready --input far.bin --bin-width 0.001", capsys) == (
        "error[SNN208]: an event at x=200, y=100 lies outside 34 x 34\n"
        "  at: far.bin\n"
        "  fix: snn-deploy evaluate reads it, with --sensor ROWSxCOLUMNS and --downscale N\n"
    )


def test_a_label_that_no_answer_can_be_is_refused_where_answers_are_judged(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("labels.npz", input=np.zeros((2, 5, 4), np.uint8), label=np.array([0, 3]))
    assert run(["simulate", "ready", "--input", "labels.npz"]) == 0
    capsys.readouterr()
    assert complaint("verify ready --against network --input labels.npz", capsys) == (
        "error[SNN208]: sample 1 has label 3, but output 'output' has 3 classes, 0 to 2\n"
        "  fix: give labels from 0 on, or none\n"
    )


def test_a_pipe_is_not_told_to_be_meant_for_itself(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("pipe.npz")
    assert complaint("simulate ready --input pipe.npz", capsys) == (
        "error[SNN201]: there is no such data file\n"
        "  at: pipe.npz\n"
        "  fix: give a plain file: pipes and devices are not read\n"
    )


def test_each_choice_of_cores_is_faster_than_the_one_before(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", "ready", "--front", "--json"]) == 0
    choices = json.loads(capsys.readouterr().out)["choices"]["points"]
    times = [point["time"] for point in choices]
    assert times == sorted(set(times), reverse=True)
