"""Which test runs which line, and for how long: what the tests of a mutant are chosen by."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

MODULES = ("snn_deploy/ir", "snn_deploy/quantize", "snn_deploy/backends/reference")
"""What is mutated: the beginnings of paths."""

TESTS = ("ir", "quantize", "backends", "conformance", "hazards", "targets", "lava", "deploy")
"""Folders of the tests that are to find mutants. Tests that need Lava are left out: they take
seconds to start, and not everybody can run them."""

OPTIONS = (
    "-q", "-m", "not lava", "--tb=no", "--no-header", "--no-summary",
    "-W", "ignore::pytest.PytestAssertRewriteWarning", "--hypothesis-profile=mutants",
    "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:benchmark", "-p", "no:xdist",
)  # fmt: skip


def same_draws() -> None:
    """Make Hypothesis draw the same in every run, keep nothing, and stop at the first failure."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, deadline=None, database=None, phases=phases
    )
    hypothesis.settings.load_profile("mutants")


class Watch:
    """Switches coverage's context with each test, and keeps how long each took."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = {}
        self.unusable: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        self.measured.switch_context(item.nodeid)
        result = yield
        self.measured.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = self.seconds.get(report.nodeid, 0.0)
        self.seconds[report.nodeid] = spent + report.duration
        if not report.passed:
            self.unusable.add(report.nodeid)


def main(output: str, tests: list[str]) -> None:
    """Run `tests` in this folder, a copy of the repository, and write what each runs."""
    same_draws()
    patterns = [f"{Path.cwd()}/{name}{end}" for name in MODULES for end in ("*", "/*")]
    measured = coverage.Coverage(data_file=None, config_file=False, include=patterns)
    watch = Watch(measured)
    measured.start()
    pytest.main([*OPTIONS, *tests], plugins=[watch])
    measured.stop()
    names = {name for name in watch.seconds if name not in watch.unusable}
    parts: dict[str, Any] = {
        file: {"tests": [], "lines": {}} for file in {name.split("::")[0] for name in names}
    }
    number: dict[str, int] = {}
    for name in sorted(names):
        tests = parts[name.split("::")[0]]["tests"]
        number[name] = len(tests)
        tests.append([name, round(watch.seconds[name], 4)])
    data = measured.get_data()
    files = {Path(file).relative_to(Path.cwd()).as_posix(): file for file in data.measured_files()}
    for file, path in sorted(files.items()):
        for line, contexts in data.contexts_by_lineno(path).items():
            for name in sorted(names.intersection(contexts)):
                lines = parts[name.split("::")[0]]["lines"].setdefault(file, {})
                lines.setdefault(line, []).append(number[name])
    sources = {file: Path(file).read_text() for file in files}
    Path(output).write_text(json.dumps({"parts": parts, "sources": sources}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
