"""What is said of each error: its example prints what stands there, and the page is whole."""

import shlex
import sys
from pathlib import Path

import pytest

from snn_deploy.deploy.cli import run
from snn_deploy.deploy.explanations import classes, explain, explanations, page

ROOT = Path(__file__).parents[2]

EXAMPLES = [code for code, known in explanations().items() if known.example]


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_example_of_an_error_prints_what_stands_there(
    code: str, filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = explanations()[code]
    if known.without:
        monkeypatch.setitem(sys.modules, known.without, None)
    *before, last = known.example.strip().splitlines()
    for line in before:
        program, *words = shlex.split(line)
        if program == "rm":
            (filled / words[0]).unlink()
        else:
            assert run(words) == 0
    words = shlex.split(last)
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    capsys.readouterr()
    assert run(words[1:]) == classes()[code].exit_status
    said = capsys.readouterr().err.replace(str(filled), "/home/you/broken")
    assert said == known.says.lstrip("\n") + "\n"


def test_every_error_is_explained_and_no_other() -> None:
    assert list(explanations()) == list(classes())
    for code, known in explanations().items():
        assert bool(known.says) == bool(known.example)
        assert known.cause in " ".join(explain(code).split())
        assert known.cure in " ".join(explain(code).split())


def test_an_explanation_has_cause_example_and_cure(golden) -> None:
    golden(explain("304") + "\n")


def test_the_page_of_errors_is_what_explain_prints() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == page(), (
        "python -c 'from snn_deploy.deploy.explanations import page; print(page(), end=\"\")' "
        "> docs/errors.md"
    )
