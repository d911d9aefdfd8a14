"""Records of older schemas become those of today, one number at a time; newer ones are refused."""

import pytest

from snn_deploy.errors import ArtifactDamagedError, TargetError
from snn_deploy.ir.schemas import Record, Schema


def renamed(record: Record) -> Record:
    made = dict(record)
    made["weights"] = made.pop("weight")
    return made


def counted(record: Record) -> Record:
    return {**record, "count": len(record["weights"])}


THING = Schema(name="thing", upgrades=(renamed, counted))


def test_the_number_is_one_more_than_there_are_upgrades() -> None:
    assert THING.label == "snn-deploy/thing/3"
    assert Schema(name="thing").label == "snn-deploy/thing/1"


def test_a_record_of_any_older_number_becomes_one_of_today() -> None:
    today = {"schema": "snn-deploy/thing/3", "weights": [1, 2], "count": 2}
    first = {"schema": "snn-deploy/thing/1", "weight": [1, 2]}
    second = {"schema": "snn-deploy/thing/2", "weights": [1, 2]}
    assert [THING.upgraded(record) for record in (first, second, today)] == [today] * 3
    assert first == {"schema": "snn-deploy/thing/1", "weight": [1, 2]}


def test_a_newer_number_is_refused_with_the_way_out() -> None:
    with pytest.raises(ArtifactDamagedError) as caught:
        THING.upgraded({"schema": "snn-deploy/thing/4"}, "thing.json")
    assert str(caught.value) == (
        "error[SNN603]: this is no thing that this version reads: its schema is "
        "'snn-deploy/thing/4', not 'snn-deploy/thing/1' or 'snn-deploy/thing/2' or "
        "'snn-deploy/thing/3'\n"
        "  at: thing.json\n"
        "  fix: read it with the version of snn-deploy that wrote it, or a later one"
    )


@pytest.mark.parametrize(
    "record",
    [
        None,
        3,
        [],
        "x",
        {},
        {"schema": None},
        {"schema": 1},
        {"schema": "snn-deploy/other/1"},
        {"schema": "snn-deploy/another/9"},
        {"schema": "snn-deploy/thing/0"},
        {"schema": "snn-deploy/thing/" + "9" * 5000},
        {"schema": "snn-deploy/thing/\N{SUPERSCRIPT TWO}"},
        {"schema": ["snn-deploy/thing/1"]},
    ],
)
def test_what_is_of_no_such_schema_is_refused(record: object) -> None:
    with pytest.raises(ArtifactDamagedError, match="this is no thing that this version reads") as e:
        THING.upgraded(record)
    assert str(e.value).endswith("fix: export the model again")


def test_a_file_that_need_not_say_its_schema_is_of_the_number_before() -> None:
    chip = Schema(name="chip", upgrades=(renamed,), unnamed=1, error=TargetError)
    assert chip.upgraded({"weight": 1}) == {"weights": 1, "schema": "snn-deploy/chip/2"}
    with pytest.raises(TargetError):
        chip.upgraded({"schema": "snn-deploy/chip/3"})
    with pytest.raises(TargetError):
        chip.upgraded([])
