"""`diff` names what differs between two programs, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ANYTHING, Sizes, random_program

import snn_deploy
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.diff_measures import About
from snn_deploy.deploy.energy import Event
from snn_deploy.deploy.program_changes import Change, Part
from snn_deploy.errors import ArtifactDamagedError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.program import Bias, Binary, Current, Program
from snn_deploy.ir.store import dump_program

SMALL = Sizes(populations=3, neurons=5, extent=4, samples=1, steps=4)
SEEDS = st.integers(0, 2**32 - 1)


def program(seed=7) -> Program:
    return random_program(np.random.default_rng(seed), ANYTHING, SMALL)[0]


def number(value) -> np.ndarray:
    return np.asarray(value, np.int32)


def the_change(one: Program, other: Program) -> Change:
    changes = snn_deploy.diff(one, other).changes
    assert len(changes) == 1, changes
    return changes[0]


def with_first(part: str, made: Program, **fields) -> Program:
    first, *rest = getattr(made, part)
    return replace(made, **{part: (replace(first, **fields), *rest)})


@settings(max_examples=20)
@given(seed=SEEDS)
def test_a_program_is_the_same_as_itself(seed):
    one, again = program(seed), program(seed)
    found = snn_deploy.diff(one, again)
    assert found.equal
    assert found.changes == ()
    assert str(found) == f"the same program, digest {one.digest}"


@settings(max_examples=20)
@given(seeds=st.tuples(SEEDS, SEEDS))
def test_programs_that_differ_show_at_least_one_change(seeds):
    one, other = (program(seed) for seed in seeds)
    found = snn_deploy.diff(one, other)
    assert found.equal == (one.digest == other.digest) == (not found.changes)
    assert str(found).count("digest") == (1 if found.equal else 2)


def test_a_changed_weight_is_counted_and_placed():
    made = program()
    wire = made.projections[0]
    numbers = wire.map.numbers().copy()
    place = tuple(n - 1 for n in numbers.shape)
    numbers[place] += 6
    other = with_first("projections", made, map=wire.map.with_numbers(numbers))
    change = the_change(made, other)
    assert (change.part, change.name, change.what) == (Part.PROJECTION, wire.name, "weights")
    assert (change.changed, change.numbers) == (1, numbers.size)
    assert (change.largest, change.at) == (6, place)
    assert (change.one, change.other) == (str(numbers[place] - 6), str(numbers[place]))


def test_a_changed_parameter_is_named_with_both_values():
    made = replace(program(), dt=Binary.of(0.001))
    made = with_first("populations", made, threshold=number(640), unit=Binary.of(0.5))
    other = with_first("populations", made, threshold=number(704))
    change = the_change(made, other)
    assert change == Change(
        part=Part.POPULATION,
        name=made.populations[0].name,
        what="threshold",
        one="640",
        other="704",
        largest=64.0,
    )
    other = with_first("populations", made, unit=Binary.of(0.25))
    assert (the_change(made, other).one, the_change(made, other).other) == ("0.5", "0.25")
    other = replace(made, dt=Binary.of(0.002))
    assert the_change(made, other).what == "dt"


def test_parameters_of_other_shapes_are_compared_where_they_broadcast():
    made = with_first("populations", program(), threshold=number(640))
    shape = made.populations[0].shape
    spread = with_first("populations", made, threshold=np.full(shape, 640, np.int32))
    change = the_change(made, spread)
    size = int(np.prod(shape))
    assert (change.what, change.one, change.other) == ("threshold, numbers stored", "1", f"{size}")
    rows = np.full(shape, 640, np.int32)
    rows.flat[0] = 600
    change = the_change(made, with_first("populations", made, threshold=rows))
    assert (change.changed, change.numbers, change.largest) == (1, size, 40)


def test_parts_of_one_program_alone_are_named():
    made = program()
    extra = replace(made.populations[0], name="extra")
    change = the_change(made, replace(made, populations=(*made.populations, extra)))
    assert (change.name, change.what, change.one) == ("extra", "", "")
    assert change.other == "x".join(map(str, extra.shape))
    text = str(snn_deploy.diff(made, replace(made, populations=(*made.populations, extra))))
    assert "extra  only in the second" in text


def test_nested_parameters_are_named_by_their_path():
    made = with_first("populations", program(), current=Current(decay=number(2048)), biases=())
    other = with_first("populations", made, current=Current(decay=number(2000)))
    assert the_change(made, other).what == "current.decay"
    two = (Bias(value=number(3)), Bias(value=number(5), start=4))
    one = with_first("populations", made, biases=two)
    assert the_change(made, one).what == "biases"
    assert (the_change(made, one).one, the_change(made, one).other) == ("0", "2")
    single = with_first("populations", made, biases=two[:1])
    said = "value 3, into membrane, start 0, waits False"
    assert (the_change(made, single).one, the_change(made, single).other) == ("none", said)
    three = with_first("populations", made, biases=(*two, two[1]))
    assert (the_change(one, three).one, the_change(one, three).other) == ("2", "3")
    later = with_first("populations", made, biases=(two[0], replace(two[1], start=9)))
    assert the_change(one, later).what == "biases[1].start"


def test_the_order_of_parts_is_a_difference():
    made = program()
    assert len(made.projections) > 1
    other = replace(made, projections=made.projections[::-1])
    assert the_change(made, other).what == "order of its parts"


@pytest.fixture(scope="module")
def artifacts(
    demo_network: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Deployment, Deployment]:
    folder = tmp_path_factory.mktemp("diff")
    return tuple(  # type: ignore[return-value]
        snn_deploy.export(demo_network, output=folder / f"bits{bits}", bits=bits, search=False)
        for bits in (8, 6)
    )


def test_artifacts_also_show_how_they_were_made(artifacts, capsys):
    one, other = artifacts
    found = snn_deploy.diff(one, other)
    assert not found.equal
    options = [c for c in found.changes if c.part is Part.OPTION]
    assert [(c.what, c.one, c.other) for c in options] == [("bits", "8", "6")]
    assert {c.part for c in found.changes} >= {Part.PROJECTION, Part.PIPELINE}
    folders = [str(one.folder), str(other.folder)]
    assert run(["diff", *folders]) == 3
    text = capsys.readouterr().out
    assert text.startswith(f"{folders[0]}  digest {one.program.digest}\n")
    assert "\noptions\n  bits  8 -> 6\n" in text
    assert run(["diff", folders[0], folders[0]]) == 0
    assert capsys.readouterr().out == f"the same program, digest {one.program.digest}\n"
    assert run(["diff", *folders, "--json"]) == 3
    record = json.loads(capsys.readouterr().out)
    assert record["equal"] is False
    assert {"part", "name", "what", "changed", "largest", "at"} <= set(record["changes"][0])


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, input=rng.random((12, 1, 28, 28)), label=rng.integers(0, 10, 12))
    return path


def rows_of(text: str, section: str) -> dict[str, str]:
    """Return the lines of a section by their first words."""
    lines = text[text.index(f"\n{section}") + 1 :].split("\n\n", maxsplit=1)[0].splitlines()[1:]
    return {name.strip(): rest for name, rest in (line.strip().split("  ", 1) for line in lines)}


def test_answers_and_energy_are_what_the_other_commands_say(artifacts, digits, capsys):
    folders = [str(side.folder) for side in artifacts]
    assert run(["diff", *folders, "--data", str(digits), "--samples", "10"]) == 3
    text = capsys.readouterr().out
    found = snn_deploy.diff(*artifacts, data=digits, samples=10).measures
    assert found is not None
    assert str(found) in text
    told = {measure.what: measure for measure in found.measures}
    evaluations = [snn_deploy.evaluate(side, data=digits, samples=10) for side in artifacts]
    accuracy = told["accuracy"]
    assert [accuracy.one, accuracy.other] == [100 * e.accuracy for e in evaluations]
    alone = told["right here alone"]
    assert alone.one is not None
    assert alone.other is not None
    assert evaluations[1].correct - evaluations[0].correct == alone.other - alone.one
    estimates = [snn_deploy.estimate(side, input=digits, samples=10) for side in artifacts]
    assert [told["estimate"].one, told["estimate"].other] == [1e6 * e.value for e in estimates]
    for event in (Event.SPIKE, Event.NEURON_UPDATE, Event.SYNAPSE_DENSE):
        counts = [
            sum(layer.count.counts.get(event, 0) for layer in e.estimate.layers) for e in estimates
        ]
        assert [told[event.value].one, told[event.value].other] == counts
    times = [e.estimate.latency for e in estimates]
    for part in ("step", "sample"):
        for which, end in (("", "value"), (", lowest", "low"), (", highest", "high")):
            row = told[f"a {part}{which}"]
            assert (row.about, row.unit) == (About.TIME, "us")
            assert [row.one, row.other] == [1e6 * getattr(getattr(t, part), end) for t in times]
    shown = rows_of(text, "time, 10 samples, mean of each")
    assert shown["a sample"].split()[:2] == [f"{1e6 * times[0].sample.value:,.3f}", "us"]
    shown = rows_of(text, "energy, 10 samples, mean of each")
    assert shown["estimate"].split()[:2] == [f"{1e6 * estimates[0].value:,.3f}", "uJ"]


def test_time_is_told_only_if_both_have_it(artifacts, digits):
    one = artifacts[0]
    found = snn_deploy.diff(one, replace(one, core_map=None), data=digits, samples=1).measures
    assert found is not None
    assert About.ENERGY in {measure.about for measure in found.measures}
    assert About.TIME not in {measure.about for measure in found.measures}


def test_maps_of_cores_are_compared_without_data(artifacts, tmp_path, demo_network, capsys):
    one = artifacts[0]
    options = {"bits": 8, "search": False, "cores": 5}
    other = snn_deploy.export(demo_network, output=tmp_path / "few", **options)
    assert one.core_map is not None
    assert other.core_map is not None
    assert run(["diff", str(one.folder), str(other.folder)]) == 0  # the program is the same
    shown = rows_of(capsys.readouterr().out, "map of cores")
    cores = [len(side.core_map.cores) for side in (one, other)]
    assert shown["cores"].split()[:3] == [f"{cores[0]}", "->", f"{cores[1]}"]
    assert shown["slowest core, a step"].split()[0] == f"{one.core_map.step_time:,.3f}"
    lif1 = [len(set(side.core_map.core_of("lif1").tolist())) for side in (one, other)]
    assert shown["cores of lif1"].split()[:3] == [f"{lif1[0]}", "->", f"{lif1[1]}"]
    assert "chips" not in shown  # both take one


def test_a_map_that_only_one_has_is_told(artifacts):
    one = artifacts[0]
    found = snn_deploy.diff(one, replace(one, core_map=None)).measures
    assert found is not None
    (cores, *_) = found.measures
    assert (cores.what, cores.one, cores.other) == ("cores", len(one.core_map.cores), None)


def test_data_without_labels_gives_no_accuracy(artifacts, digits):
    values = np.load(digits)["input"]
    found = snn_deploy.diff(*artifacts, data=values).measures
    assert found is not None
    names = [measure.what for measure in found.measures]
    assert "accuracy" not in names
    assert {"same class", "estimate"} <= set(names)


def test_data_and_prices_are_refused_where_they_say_nothing(artifacts, digits, capsys, tmp_path):
    files = dump_program(artifacts[0].program)
    (tmp_path / "program.json").write_bytes(files.json)
    (tmp_path / "program.npz").write_bytes(files.npz)
    folder = str(artifacts[1].folder)
    assert run(["diff", str(tmp_path), folder, "--data", str(digits)]) == 2
    assert capsys.readouterr().err == (
        "error[SNN102]: a program alone does not say how data becomes steps\n"
        "  at: --data\n"
        "  fix: give two artifact folders, or leave --data out\n"
    )
    assert run(["diff", folder, folder, "--profile", "loihi1-davies"]) == 2
    assert capsys.readouterr().err == (
        "error[SNN102]: prices are for events, which are counted on data\n"
        "  at: --profile\n"
        "  fix: --data FILE\n"
    )


def test_what_was_found_or_chosen_does_not_make_another_program(artifacts):
    one, _ = artifacts
    finding = Finding(kind=Kind.GUESSED, layer="lif1", amount="a guess", reason="it says nothing")
    other = replace(one, findings=(*one.findings, finding), configuration={"target": "loihi2"})
    found = snn_deploy.diff(one, other)
    assert found.equal
    assert {c.part for c in found.changes} == {Part.FINDING, Part.OPTION}
    assert "only in the second  guessed  lif1: a guess" in str(found)
    other = replace(one, encoding=replace(one.encoding, seed=5))
    assert not snn_deploy.diff(one, other).equal


def test_a_folder_with_the_two_files_of_a_program_is_enough(artifacts, tmp_path):
    one, other = artifacts
    files = dump_program(other.program)
    (tmp_path / "program.json").write_bytes(files.json)
    (tmp_path / "program.npz").write_bytes(files.npz)
    assert snn_deploy.diff(tmp_path, other).equal
    assert not snn_deploy.diff(tmp_path, one).equal


def test_a_folder_that_holds_no_program_is_refused(tmp_path):
    with pytest.raises(ArtifactDamagedError) as caught:
        snn_deploy.diff(tmp_path, tmp_path)
    assert str(caught.value) == (
        "error[SNN603]: this folder has neither a manifest.json nor the two files of a program\n"
        f"  at: {tmp_path}\n"
        "  fix: give artifact folders, or folders with program.json and program.npz"
    )
