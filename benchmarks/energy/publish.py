"""Writes the tables of docs/energy.md from RESULTS.json."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "energy.md"


def table(headings: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def oracle(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[str]]:
    """Yield one line for each network."""
    for name in dict.fromkeys(row["case"] for row in rows):
        own = {row["what"]: row for row in rows if row["case"] == name}
        equal = all(
            own[what]["ours"] == own[what]["sanafe"]
            for what in ("synaptic operations", "spikes", "neuron updates", "messages", "hops")
        )
        yield [
            name,
            "equal" if equal else "**differ**",
            f"{own['synaptic operations']['ours']:,.0f}",
            f"{own['messages']['ours']:,.0f}",
            *(
                f"{own[what]['ours'] * 1e6:,.2f} / {own[what]['sanafe'] * 1e6:,.2f}"
                for what in ("energy", "simple time", "detailed time")
            ),
            *(
                f"{own[what]['ours'] / own[what]['sanafe'] - 1:+.1e}"
                for what in ("energy", "simple time")
            ),
            *(
                f"{own[what]['ours'] / own[what]['sanafe'] - 1:+.2%}"
                for what in ("detailed time", "simple for detailed")
            ),
        ]


ENDS = ("low", "high")
INSIDE = {True: "yes", False: "**no**", None: "-"}
SCALE = {"W": ("mW", 1e3), "J": ("mJ", 1e3)}


def hardware(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[str]]:
    """Yield one line for each prediction."""
    for row in rows:
        unit, factor = SCALE[row["unit"]]
        low, high = ("" if row[key] is None else f"{row[key] * factor:.4g}" for key in ENDS)
        yield [
            row["case"],
            row["what"],
            row["profile"],
            "-" if row["predicted"] is None else f"{row['predicted'] * factor:.4g} {unit}",
            f"{low} to {high}" if low else "-",
            f"{row['measured'] * factor:.4g} {unit}",
            "-" if row["error"] is None else f"{row['error']:+.1%}",
            INSIDE[row["inside"]],
            row["note"],
        ]


def main() -> None:
    """Put both tables between their marks."""
    results = json.loads((HERE / "RESULTS.json").read_text())
    tables = {
        "oracle": table(
            (
                *("network", "counts", "synaptic operations", "messages"),
                *("energy uJ, ours / SANA-FE", "simple us", "queued / detailed us"),
                *("energy off", "simple off", "queued off", "simple for detailed off"),
            ),
            oracle(results["oracle"]),
        ),
        "hardware": table(
            (
                *("case", "what", "profile", "predicted", "stated ends"),
                *("measured", "error", "within the ends", "note"),
            ),
            hardware(results["hardware"]),
        ),
    }
    text = PAGE.read_text()
    for name, content in tables.items():
        begin, end = f"<!-- {name}: benchmarks/energy/publish.py -->", f"<!-- end of {name} -->"
        text, found = re.subn(
            f"{re.escape(begin)}.*?{re.escape(end)}",
            lambda _, between=f"{begin}\n{content}\n{end}": between,
            text,
            flags=re.DOTALL,
        )
        if found != 1:
            raise SystemExit(f"{PAGE} has {found} places for the table {name}")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
