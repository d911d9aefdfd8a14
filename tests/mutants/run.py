"""Changes the code in one place at a time and sees whether the tests notice: `--help`.

Goes on where it was stopped: a mutant whose outcome stands in RESULTS.json is not tried again.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from children import Job, Result
from choosing import Chooser, read
from copies import BUILD, ROOT, copied, environment
from covering import MODULES, TESTS
from places import SEED, Mutant, sampled

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.json"
COVERING = BUILD / "covering.json"

COUNT = 500
BUDGET = 25.0
"""Seconds of tests for one mutant, as they took when coverage was measured."""

SLOWER, GRACE = 6.0, 30.0
"""A trial ends after so many times its tests' usual seconds, and so many more."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="places to change")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of tests for each")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    parser.add_argument("--again", action="store_true", help="try those that survived again")
    parser.add_argument("--retry", nargs="+", default=[], metavar="NAME", help="try these again")
    parser.add_argument("--only", default="", help="only files whose path begins with this")
    given = parser.parse_args()
    files = sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "snn_deploy").rglob("*.py")
        if path.relative_to(ROOT).as_posix().startswith(MODULES)
    )
    mutants, kinds = sampled(ROOT, files, given.count)
    results = Results(given, kinds, mutants)
    waiting = [m for m in results.waiting(mutants) if m.file.startswith(given.only)]
    print(
        f"{sum(kinds.values())} places, {len(mutants)} sampled, {len(waiting)} to try", flush=True
    )
    workers = [Worker(number) for number in range(given.jobs)]
    try:
        cover(workers)
        chooser = Chooser(ROOT, read(COVERING))
        each(workers, waiting, lambda worker, mutant: results.tried(mutant, chooser, worker))
        results.control(workers, chooser)
    finally:
        for worker in workers:
            worker.end()
    print(results.summary())


class Worker:
    """Processes that run trials in a copy of the repository of their own."""

    def __init__(self, number: int) -> None:
        self.tree = copied(number)
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def run(
        self, how: str, tests: list[str], seconds: float, *, mutant: Mutant | None = None
    ) -> Result:
        """Run tests on a mutant, or on the code as it is: `how` is `quick` or `thorough`."""
        job: Job = {
            "file": mutant.file if mutant else None,
            "source": mutant.source(ROOT) if mutant else "",
            "tests": tests,
            "stop": mutant is not None,
            "limit": GRACE + SLOWER * seconds,
        }
        process = self._process(how)
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        told = process.stdout.readline()
        assert told, f"{how}.py ended; run it in {self.tree}"
        return json.loads(told)

    def _process(self, how: str) -> subprocess.Popen[str]:
        if how not in self._processes:
            process = subprocess.Popen(
                [sys.executable, str(HERE / f"{how}.py")],
                cwd=self.tree,
                env=environment(self.tree),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout
            assert process.stdout.readline(), f"{how}.py ended; run it in {self.tree}"
            self._processes[how] = process
        return self._processes[how]

    def end(self) -> None:
        for process in self._processes.values():
            assert process.stdin
            process.stdin.close()
            process.wait()


def each(workers: list[Worker], items: list[Any], do: Any) -> None:
    """Call `do(worker, item)` for every item, on as many threads as there are workers."""
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def one(item: Any) -> None:
        worker = free.get()
        try:
            do(worker, item)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        for future in [pool.submit(one, item) for item in items]:
            future.result()


def cover(workers: list[Worker]) -> None:
    """Measure what the tests of each file run, where that is not known of the file as it is."""
    known = read(COVERING)
    now = {
        file.relative_to(ROOT).as_posix(): _digest(file.read_text())
        for folder in TESTS
        for file in sorted((ROOT / "tests" / folder).glob("test_*.py"))
    }
    parts = {f: p for f, p in known["parts"].items() if now.get(f) == p["digest"]}
    missing = sorted(set(now) - set(parts))
    if not missing:
        return
    print(f"measuring what the tests of {len(missing)} files run", flush=True)

    outputs = {worker: worker.tree.parent / f"{worker.tree.name}.json" for worker in workers}
    for output in outputs.values():
        output.unlink(missing_ok=True)

    def measure(worker: Worker, share: list[str]) -> None:
        output = outputs[worker]
        command = [sys.executable, str(HERE / "covering.py"), str(output), *share]
        subprocess.run(
            command, cwd=worker.tree, env=environment(worker.tree), check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    shares = [missing[k :: len(workers)] for k in range(len(workers))]
    each(workers, [share for share in shares if share], measure)
    for output in outputs.values():
        if output.exists():
            found = json.loads(output.read_text())
            sources = {file: _digest(text) for file, text in found["sources"].items()}
            known["sources"].update({sources[f]: text for f, text in found["sources"].items()})
            for file, part in found["parts"].items():
                parts[file] = {**part, "digest": now[file], "sources": sources}
    nothing = {"tests": [], "lines": {}, "sources": {}}
    parts = {file: parts.get(file, {**nothing, "digest": now[file]}) for file in now}
    used = {digest for part in parts.values() for digest in part["sources"].values()}
    sources = {digest: text for digest, text in known["sources"].items() if digest in used}
    COVERING.write_text(json.dumps({"parts": parts, "sources": sources}))


class Results:
    """The outcomes, in a file that is written after each trial."""

    def __init__(self, given: argparse.Namespace, kinds: dict[str, int], all: list[Mutant]) -> None:
        self.given, self.kinds = given, kinds
        self.commit = _git("rev-parse", "--short", "HEAD")
        self._lock = threading.Lock()
        self._controlled: dict[str, Any] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        before = json.loads(RESULTS.read_text())["mutants"] if RESULTS.exists() else []
        there = {mutant.name: mutant for mutant in all}
        for entry in before:
            if entry["mutant"] in there:
                entry["line"] = there[entry["mutant"]].line
                self._entries[entry["mutant"]] = entry

    def waiting(self, mutants: list[Mutant]) -> list[Mutant]:
        """Return the mutants that are to be tried."""
        again = {"survived"} if self.given.again else set()
        done = {name for name, e in self._entries.items() if e["outcome"] not in again}
        done -= set(self.given.retry)
        return [mutant for mutant in mutants if mutant.name not in done]

    def tried(self, mutant: Mutant, chooser: Chooser, worker: Worker) -> None:
        """Try a mutant and keep what became of it."""
        first, others, covering = chooser.tests(mutant, self.given.budget)
        outcome, ran, seconds, failed = "survived", 0, 0.0, []
        for how, tests in (("quick", [*first, *others]), ("thorough", first), ("thorough", others)):
            if not tests:
                continue
            usual = sum(chooser.seconds[name] for name in tests)
            result = worker.run(how, tests, usual, mutant=mutant)
            outcome, failed = result["outcome"], result["failed"]
            ran, seconds = ran + result["ran"], seconds + result["seconds"]
            if outcome != "new" and (outcome != "survived" or how == "quick"):
                break
        with self._lock:
            self._entries[mutant.name] = {
                "mutant": mutant.name,
                "file": mutant.file,
                "line": mutant.line,
                "function": mutant.function,
                "operator": mutant.operator,
                "text": mutant.text,
                "becomes": mutant.becomes,
                "outcome": outcome,
                "trial": how,
                "test": failed[0] if failed else None,
                "tests": {"running_the_line": covering, "run": ran},
                "seconds": round(seconds, 1),
                "commit": self.commit,
            }
            self._write()
            print(self._line(mutant, outcome, failed), flush=True)

    def control(self, workers: list[Worker], chooser: Chooser) -> None:
        """Run the tests that noticed something on the code as it is: each must pass.

        What a test noticed that fails anyway does not count; its mutants are to be tried again.
        """
        noticed = {(e["trial"], e["test"]) for e in self._entries.values() if e["test"]}
        failed: set[tuple[str, str]] = set()

        def run(worker: Worker, share: tuple[str, list[str]]) -> None:
            how, tests = share
            result = worker.run(how, tests, sum(chooser.seconds[name] for name in tests))
            assert result["outcome"] in ("survived", "killed"), result["outcome"]
            failed.update((how, test) for test in result["failed"])

        for how in ("quick", "thorough"):
            tests = sorted(test for way, test in noticed if way == how)
            shares = [(how, tests[k :: len(workers)]) for k in range(len(workers))]
            each(workers, [share for share in shares if share[1]], run)
        for name, entry in list(self._entries.items()):
            if (entry["trial"], entry["test"]) in failed:
                del self._entries[name]
        self._controlled = {
            "tests": len({test for _, test in noticed}),
            "failed": sorted({test for _, test in failed}),
        }
        self._write()

    def summary(self) -> str:
        """Return the numbers in one line."""
        outcomes = Counter(entry["outcome"] for entry in self._entries.values())
        share = 1 - outcomes["survived"] / max(sum(outcomes.values()), 1)
        return f"{sum(outcomes.values())} mutants, {share:.1%} noticed: {dict(outcomes)}"

    def _line(self, mutant: Mutant, outcome: str, failed: list[str]) -> str:
        line = f"{outcome:9s} {mutant.name} {mutant.file}:{mutant.line} {mutant.becomes}"
        return f"{line} | {failed[0]}" if failed else line

    def _write(self) -> None:
        document = {
            "seed": SEED,
            "places": self.kinds,
            "sampled": self.given.count,
            "budget_s": self.given.budget,
            "control": self._controlled,
            "mutants": sorted(
                self._entries.values(), key=lambda e: (e["file"], e["line"], e["mutant"])
            ),
        }
        part = RESULTS.with_suffix(".part")
        part.write_text(json.dumps(document, indent=1) + "\n")
        part.replace(RESULTS)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
