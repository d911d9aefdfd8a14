"""Put the numbers of RESULTS.json into the documentation: `python tests/mutants/publish.py`."""

import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "mutants.md"
BEGIN = "<!-- written by tests/mutants/publish.py -->"
END = "<!-- end -->"

OUTCOMES = {
    "killed": "a test failed",
    "import": "the code could not be imported, or the tests not be collected",
    "crash": "the process ended without a word",
    "timeout": "the tests took more than six times as long as usual, and 30 s more",
    "survived": "no test noticed",
}

Entry = Mapping[str, Any]


def results() -> dict[str, Any]:
    """Return what `run.py` wrote."""
    return json.loads((HERE / "RESULTS.json").read_text())


def reasons() -> dict[str, str]:
    """Return why each survivor that was read stays, by its name."""
    return tomllib.loads((HERE / "SURVIVORS.toml").read_text())


def noticed(entries: Sequence[Entry]) -> float:
    """Return the share of mutants that did not survive."""
    return sum(entry["outcome"] != "survived" for entry in entries) / len(entries)


def tables(document: Mapping[str, Any], why: Mapping[str, str]) -> str:
    """Return the outcomes, those of each folder, and every survivor with its reason."""
    entries = document["mutants"]
    places = sum(document["places"].values())
    count = Counter(entry["outcome"] for entry in entries)
    lines = [
        f"Of {places:,} places {len(entries)} were drawn; {noticed(entries):.1%} of these mutants "
        "were noticed.",
        "",
        "| outcome | mutants | what it means |",
        "|---|---|---|",
        *(f"| {name} | {count[name]} | {meaning} |" for name, meaning in OUTCOMES.items()),
        "",
        "| where | mutants | survived | noticed |",
        "|---|---|---|---|",
    ]
    for where in ("snn_deploy/ir", "snn_deploy/quantize", "snn_deploy/backends/reference"):
        part = [entry for entry in entries if entry["file"].startswith(where)]
        left = sum(entry["outcome"] == "survived" for entry in part)
        lines.append(f"| `{where}` | {len(part)} | {left} | {noticed(part):.1%} |")
    lines += ["", "Those that survived, and why they stay:", ""]
    lines += ["| where | becomes | why it stays |", "|---|---|---|"]
    for entry in entries:
        if entry["outcome"] == "survived":
            where = f"`{Path(entry['file']).name}`, `{entry['function'] or 'module'}`"
            code = f"`` {entry['becomes']} ``".replace("|", "\\|")
            lines.append(f"| {where} | {code} | {why.get(entry['mutant'], 'not read yet')} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with the numbers as they are now."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables(results(), reasons())}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
