"""What is published of the mutants is what was found."""

import dataclasses

import pytest
from mutants import publish

DOCUMENT = publish.results()
ENTRIES = DOCUMENT["mutants"]


def test_at_least_500_mutants_were_tried():
    assert len(ENTRIES) == DOCUMENT["sampled"] >= 500
    assert len({entry["mutant"] for entry in ENTRIES}) == len(ENTRIES)


def test_most_mutants_were_noticed_and_those_that_survived_were_read():
    survivors = {entry["mutant"] for entry in ENTRIES if entry["outcome"] == "survived"}
    assert len(survivors) <= 0.15 * len(ENTRIES)
    assert set(publish.reasons()) == survivors


def test_tests_that_noticed_a_mutant_pass_on_the_code_as_it_is():
    noticed = {entry["test"] for entry in ENTRIES} - {None}
    assert DOCUMENT["control"] == {"tests": len(noticed), "failed": []}


def test_the_page_says_what_was_found():
    text = publish.PAGE.read_text()
    assert publish.page(text) == text


SOURCE = '''
from typing import Literal

LIMIT: "int | None" = 3

@dataclass(frozen=True)
class Chip:
    """A chip."""

    def spread(self, load: "int | None" = None, kind: Literal[1, 2] = 1) -> "list[int | str]":
        for one, other in zip([1], [2], strict=True):
            if one is other and not load:
                return [one - other]
        return []
'''


@pytest.fixture
def found(tmp_path):
    pytest.importorskip("cosmic_ray", reason="cosmic-ray is not installed: make mutants")
    from mutants import places

    (tmp_path / "chip.py").write_text(SOURCE)
    return places.sampled(tmp_path, ["chip.py"], 1000)[0]


def test_a_place_is_what_computes_something_and_no_annotation_or_option(found):
    assert sorted((mutant.line, mutant.operator.split("_")[0]) for mutant in found) == [
        (4, "NumberReplacer"),
        (10, "NumberReplacer"),
        (11, "NumberReplacer"),
        (11, "NumberReplacer"),
        (11, "ZeroIterationForLoop"),
        (12, "AddNot"),
        (12, "ReplaceAndWithOr"),
        (12, "ReplaceComparisonOperator"),
        (12, "ReplaceUnaryOperator"),
        (13, "ReplaceBinaryOperator"),
    ]


def test_a_change_elsewhere_leaves_the_drawn_mutants_as_they_are(found, tmp_path):
    from mutants import places

    moved = SOURCE.replace("LIMIT:", '"""More."""\n\nLIMIT:')
    (tmp_path / "other.py").write_text(moved)
    again = places.sampled(tmp_path, ["other.py"], 1000)[0]
    assert [dataclasses.replace(m, file="chip.py", line=m.line - 2) for m in again] == found
    fewer = places.sampled(tmp_path, ["other.py"], 4)[0]
    assert {mutant.name for mutant in fewer} < {mutant.name for mutant in found}


def test_a_mutant_differs_in_its_line_alone(found):
    for mutant in found:
        before, after = SOURCE.splitlines(), places_source(mutant).splitlines()
        differing = [
            n for n, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]
        ]
        assert differing == [mutant.line]
        assert after[mutant.line - 1].strip() == mutant.becomes != mutant.text


def places_source(mutant):
    from mutants import places

    return places.changed(SOURCE, mutant.operator, mutant.occurrence)
