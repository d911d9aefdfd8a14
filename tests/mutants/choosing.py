"""Which tests a mutant is given: those that run its line, up to a budget.

First those of test modules that import the file, then of its folder, then the others; of each the
quickest first.
"""

import ast
import difflib
import json
import re
from pathlib import Path
from typing import Any

from places import Mutant

FIRST_SECONDS, FIRST_FILES = 4.0, 4
"""The first tests of a mutant: so few are imported and run quickly, and most mutants fail them."""


class Chooser:
    """Knows which tests run which line of the code as it is now."""

    def __init__(self, root: Path, covering: dict[str, Any]) -> None:
        self.root = root
        self.seconds: dict[str, float] = {}
        self._ran: dict[str, dict[int, set[str]]] = {}
        self._texts: dict[str, str] = {}
        self._statements: dict[str, dict[int, range]] = {}
        moves: dict[tuple[str, str], dict[int, int]] = {}
        for part in covering["parts"].values():
            self.seconds.update(part["tests"])
            names = [name for name, _ in part["tests"]]
            for file, lines in part["lines"].items():
                before, now = part["sources"][file], root / file
                if not now.exists():
                    continue
                if (file, before) not in moves:
                    moves[file, before] = _moved(covering["sources"][before], now.read_text())
                moved = moves[file, before]
                ran = self._ran.setdefault(file, {})
                for line, tests in lines.items():
                    if int(line) in moved and tests:
                        ran.setdefault(moved[int(line)], set()).update(
                            names[test] for test in tests
                        )

    def tests(self, mutant: Mutant, budget: float) -> tuple[list[str], list[str], int]:
        """Return the first tests, the others within `budget` [s], and how many run the line."""
        found = self._running(mutant)
        apart = {own: self._apart(mutant.file, own) for own in {_file(name) for name in found}}
        ordered = sorted(found, key=lambda name: (apart[_file(name)], self.seconds[name], name))
        first: list[str] = []
        files: set[str] = set()
        spent = 0.0
        for name in ordered:
            file = _file(name)
            if spent + self.seconds[name] > FIRST_SECONDS and first:
                break
            if file in files or len(files) < FIRST_FILES:
                files.add(file)
                first.append(name)
                spent += self.seconds[name]
        others: list[str] = []
        for name in ordered:
            if name not in first and spent + self.seconds[name] <= budget:
                others.append(name)
                spent += self.seconds[name]
        return first, others, len(found)

    def _running(self, mutant: Mutant) -> set[str]:
        """Return the tests that run the mutant's statement.

        What runs when a module is imported may run in no test, or in the one that imports it
        first. For it there are besides the tests of files that say its name, and those that run a
        line of these modules with the name; where there are none, those that run its module.
        """
        file = mutant.file
        ran = self._ran.get(file, {})
        statement = self._statement(file, mutant.line)
        found = set().union(*(ran.get(line, set()) for line in statement))
        lines = (self.root / file).read_text().splitlines()
        text = "\n".join(lines[line - 1] for line in statement)
        match = re.match(r"(\s*)(?:def\s+)?(\w+)\s*[:=(]", text)
        if match and not (found and match[1]):
            word = re.compile(rf"\b{match[2]}\b")
            for other, theirs in self._ran.items():
                for line, text in enumerate((self.root / other).read_text().splitlines(), 1):
                    if word.search(text):
                        found |= theirs.get(line, set())
            files = {_file(name) for name in self.seconds}
            naming = {own for own in files if word.search(self._text(own))}
            found |= {name for name in self.seconds if _file(name) in naming}
        return found or set().union(*ran.values())

    def _apart(self, file: str, own: str) -> int:
        """Return how far tests are from a file: 0 import it, 1 are in its folder, 2 neither."""
        package, module = file.removesuffix(".py").replace("/", ".").rsplit(".", 1)
        text = self._text(own)
        if re.search(rf"from {package}(\.{module} import|\simport .*\b{module}\b)", text):
            return 0
        return 1 if own.startswith(f"tests/{Path(file).parts[1]}/") else 2

    def _text(self, own: str) -> str:
        """Return the text of a file of tests."""
        if own not in self._texts:
            self._texts[own] = (self.root / own).read_text()
        return self._texts[own]

    def _statement(self, file: str, line: int) -> range:
        """Return the lines of the innermost statement on a line; of a block, those of its head."""
        if file not in self._statements:
            spans: dict[int, range] = {}
            for node in ast.walk(ast.parse((self.root / file).read_text())):
                if isinstance(node, ast.stmt) and node.end_lineno:
                    body = getattr(node, "body", None)
                    last = body[0].lineno - 1 if body else node.end_lineno
                    for inside in range(node.lineno, max(last, node.lineno) + 1):
                        known = spans.get(inside)
                        if known is None or len(known) > last - node.lineno + 1:
                            spans[inside] = range(node.lineno, max(last, node.lineno) + 1)
            self._statements[file] = spans
        return self._statements[file].get(line, range(line, line + 1))


def _file(test: str) -> str:
    return test.split("::", maxsplit=1)[0]


def _moved(before: str, after: str) -> dict[int, int]:
    """Return where each line that is still there is now."""
    if before == after:
        return {line: line for line in range(1, before.count("\n") + 2)}
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    moved = {}
    for first, second, size in matcher.get_matching_blocks():
        moved.update({first + k + 1: second + k + 1 for k in range(size)})
    return moved


def read(file: Path) -> dict[str, Any]:
    """Return what `covering.py` wrote so far."""
    return json.loads(file.read_text()) if file.exists() else {"parts": {}, "sources": {}}
