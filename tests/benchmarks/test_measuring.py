"""The measuring stick itself: children, searches, turns, lines, tables. Nothing is timed."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DOCUMENT = json.loads((Path(__file__).parent / "document.json").read_text())
ANSWERS = """
import json, sys
print("a banner")
print("answer", json.dumps({"modes": ["only"], "batches": [1], "threads": [1], "versions": "1"}))
sys.stdout.flush()
for line in sys.stdin:
    asked = json.loads(line)
    print("answer", json.dumps({"seconds": [asked["batch"] / 10] * asked["times"]}), flush=True)
"""


def child_of(code: str, folder: Path, limit: float = 30.0) -> Any:
    from child import Child

    return Child([sys.executable, "-c", code], folder / "log", limit)


def test_a_child_answers_and_what_else_it_prints_is_no_answer(tmp_path: Path) -> None:
    from child import Setting

    with child_of(ANSWERS, tmp_path) as child:
        assert child.facts["modes"] == ["only"]
        setting = Setting(batch=8, threads=1, mode="only")
        assert child.run(setting, 30.0, times=2) == [0.8, 0.8]


@pytest.mark.parametrize(
    ("code", "limit", "said"),
    [
        ("import time; time.sleep(60)", 0.3, "took more than 0 s to start"),
        ("import sys; sys.exit('no such thing')", 30.0, "ended with 1: no such thing"),
        ('print(\'answer {"impossible": "too large"}\')', 30.0, "too large"),
    ],
)
def test_a_child_that_fails_says_why(code: str, limit: float, said: str, tmp_path: Path) -> None:
    from child import ChildError

    with pytest.raises(ChildError) as failed:
        child_of(code, tmp_path, limit)
    assert str(failed.value) == said


class Fake:
    """A child whose times are a function of the setting; it remembers what was run."""

    def __init__(self, seconds: Callable[[Any], float], **facts: Any) -> None:
        self.seconds, self.ran = seconds, []
        self.facts = {"batches": [1, 8, 64], "threads": [1, 2], "modes": ["only"], **facts}

    def run(self, setting: Any, limit: float, times: int = 1) -> list[float]:
        from child import ChildError

        self.ran.append(setting)
        taken = self.seconds(setting)
        if taken > limit:
            raise ChildError("took too long")
        return [taken] * times


def test_the_search_finds_the_fastest_setting() -> None:
    from measure import alone, search

    fake = Fake(lambda s: 0.1 + 0.001 * s.batch / s.threads)
    tried = search(fake, 60.0, 60.0)
    assert str(tried[0].setting) == "batch 64, 2 threads, only"
    assert tried[0].ms == pytest.approx(1000 * (0.1 + 0.032) / 64)
    assert alone(tried) == pytest.approx(100.5)
    assert len(tried) == 6


def test_batches_that_would_take_too_long_are_not_tried() -> None:
    from measure import search

    tried = search(Fake(lambda s: 1.0 * s.batch), 20.0, 60.0)
    assert {t.setting.batch for t in tried} == {1, 8}


def test_a_setting_that_is_far_slower_than_another_is_not_tried_with_larger_batches() -> None:
    from measure import search

    fake = Fake(lambda s: 0.1 if s.threads == 1 else 0.6)
    search(fake, 60.0, 60.0)
    assert {(s.batch, s.threads) for s in fake.ran} == {(1, 1), (8, 1), (64, 1), (1, 2)}


def test_the_search_keeps_what_it_has_when_a_larger_batch_fails() -> None:
    from child import ChildError
    from measure import search

    tried = search(Fake(lambda s: 100.0 if s.batch > 1 else 0.01), 60.0, 60.0)
    assert {t.setting.batch for t in tried} == {1}
    with pytest.raises(ChildError, match="took too long"):
        search(Fake(lambda s: 100.0), 60.0, 60.0)


@given(fixed=st.floats(0, 10), slope=st.floats(0, 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_time_of_a_larger_batch_is_expected_on_the_line_through_two_smaller_ones(
    fixed: float, slope: float
) -> None:
    from child import Setting
    from measure import Tried, expected

    def tried(batch: int) -> Any:
        setting = Setting(batch=batch, threads=1, mode="")
        return Tried(setting=setting, ms=1000 * (fixed + slope * batch) / batch)

    line = fixed + slope * 64
    assert expected([tried(1), tried(8)], 64) == pytest.approx(line, abs=1e-6)
    assert expected([], 64) == 0


def test_two_simulators_take_turns_and_short_runs_come_several_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import measure
    from child import Setting
    from measure import MOST_PAIRS, Tried, in_turns

    monkeypatch.setattr(measure, "PAUSE", 0.0)

    best = Tried(setting=Setting(batch=8, threads=1, mode="only"), ms=1.0)
    order: list[str] = []

    def fake(name: str, seconds: float) -> Fake:
        return Fake(lambda s: order.append(name) or seconds)  # type: ignore[func-returns-value]

    ours, theirs = in_turns(
        fake("ours", 0.008), best, fake("theirs", 0.016), best, seconds=5.0, limit=5.0
    )
    assert order == ["ours", "theirs"] * MOST_PAIRS
    assert ours == pytest.approx([1.0] * MOST_PAIRS)
    assert theirs == pytest.approx([2.0] * MOST_PAIRS)


def test_results_are_compared_and_those_of_another_network_refused() -> None:
    from child import ChildError
    from measure import agreement

    spikes = {"one": 1000.0, "two": 10.0}
    assert agreement({"spikes": [1100.0, 30.0]}, spikes) == "spikes of each layer within 10.0 %"
    assert agreement({"equal": True, "what": "membranes"}, spikes) == "equal membranes"
    with pytest.raises(ChildError) as refused:
        agreement({"spikes": [400.0, 10.0]}, spikes)
    assert str(refused.value) == "2.50 times as many or as few spikes in one"
    with pytest.raises(ChildError) as refused:
        agreement({"equal": False, "what": "membranes"}, spikes)
    assert str(refused.value) == "not equal: membranes"


def test_a_peer_without_an_environment_is_left_out_with_the_command_that_makes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from peers import ORACLES_VARIABLE, PEERS, missing

    peers = {peer.name: peer for peer in PEERS}
    monkeypatch.setenv(ORACLES_VARIABLE, str(tmp_path / "python"))
    assert missing(peers["nest"]) == "no environment: make peers"
    monkeypatch.setenv(ORACLES_VARIABLE, sys.executable)
    assert missing(peers["nest"]) == "nest is not installed: make peers"
    assert missing(peers["xylosim"]).startswith("a Xylo has 16 inputs")


@given(
    slope=st.floats(-10, 10),
    offset=st.floats(-10, 10),
    x=st.lists(st.integers(0, 1000), min_size=2, max_size=20, unique=True),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_line_through_points_of_a_line_is_that_line(
    slope: float, offset: float, x: list[int]
) -> None:
    from curves import fitted

    line = fitted(x, [offset + slope * at for at in x])
    assert line.slope == pytest.approx(slope, abs=1e-6)
    assert line.offset == pytest.approx(offset, abs=1e-5)


def test_points_off_the_line_lower_r2() -> None:
    from curves import fitted

    assert fitted([1, 2, 3, 4], [1, 2, 3, 4]).r2 == pytest.approx(1)
    assert fitted([1, 2, 3, 4], [1, 9, 2, 5]).r2 < 0.2


def test_the_roofline_kernels_add_up_what_plain_loops_do() -> None:
    """The program ends with an error where they do not."""
    from roofline import roofline

    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    rates = roofline(0.001)
    assert isinstance(rates, dict), rates
    assert len(rates) == 12
    assert min(rates.values()) > 0


def test_without_a_compiler_the_roofline_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from roofline import roofline

    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert roofline(0.001) == "no C compiler: neither the variable CC nor a cc on the path"


def test_tables_of_a_small_run(golden: Callable[[str], None]) -> None:
    from tables import report

    golden(report(DOCUMENT))


def test_tables_of_a_run_without_compiler_and_curves(golden: Callable[[str], None]) -> None:
    from tables import report

    document = {k: v for k, v in DOCUMENT.items() if k not in ("layers", "curves", "memory")}
    golden(report({**document, "roofline": "no C compiler"}))


def test_what_was_not_measured_is_null_in_the_file() -> None:
    from run import finite

    assert finite({"a": [float("nan"), 1.5], "b": "x"}) == {"a": [None, 1.5], "b": "x"}


def test_the_drawing_is_the_same_for_the_same_numbers() -> None:
    pytest.importorskip("matplotlib")
    from plot import drawn

    drawing = drawn(DOCUMENT)
    assert drawing.rstrip().endswith("</svg>")
    assert "times as long as ours" in drawing
    assert drawing == drawn(DOCUMENT)


def test_the_page_shows_the_tables_of_the_results_that_are_kept(simulator_modules: Path) -> None:
    from publish import PAGE, published
    from tables import summary

    page = PAGE.read_text()
    assert published(published(page, "a\n"), "b\n") == published(page, "b\n")
    results = simulator_modules / "RESULTS.json"
    if results.exists():
        assert page == published(page, summary(json.loads(results.read_text())))
