"""Writes the tables of docs/scale.md from RESULTS.json."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "scale.md"

TITLES = {
    "dense": "dense, 100 inputs each",
    "convolution": "convolution, 3 x 3 of 11 channels",
    "demo": "demo, digits",
    "vgg11": "VGG-11",
    "resnet18": "ResNet-18",
}

MODELS = 10_000
"""Models a day."""

SAMPLES = 10_000
"""Samples that each is evaluated on."""

USE = 0.6
"""Share of a day in which a core has work."""


def table(headings: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def large(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[str]]:
    """Yield one line for each network: what each command took."""
    for row in rows:
        took = row["commands"]
        yield [
            TITLES[row["name"]],
            f"{row['neurons']:,}",
            f"{row['synapses']:,}",
            f"{row['weights']:,}",
            *(
                f"{took[command]['bytes'] / 1e9:.2f} GB, {took[command]['seconds']:.0f} s"
                for command in ("export", "simulate", "estimate")
            ),
            f"{row['model'] / 1e6:,.1f} MB, {row['artifact'] / 1e6:,.1f} MB",
        ]


def each_sample(row: dict[str, Any]) -> float:
    """Return what a sample more takes [s]."""
    one, many = (row["commands"][f"evaluate {name}"]["seconds"] for name in ("one", "many"))
    return max(0.0, many - one) / (row["samples"] - 1)


def fleet(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[str]]:
    """Yield one line for each network: what so many such models a day take."""
    for row in rows:
        took = row["commands"]
        if "evaluate one" not in took:
            continue
        evaluated = took["evaluate one"]["seconds"] + SAMPLES * each_sample(row)
        model = took["export"]["seconds"] + evaluated + took["estimate"]["seconds"]
        hours = MODELS * model / 3600
        yield [
            TITLES[row["name"]],
            f"{took['export']['seconds']:.0f} s",
            f"{each_sample(row) * 1e3:.1f} ms",
            f"{model / 60:.1f} min",
            f"{hours:,.0f}",
            f"{math.ceil(hours / 24 / USE):,}",
            f"{max(one['bytes'] for one in took.values()) / 1e9:.1f} GB",
            f"{MODELS * row['artifact'] / 1e9:,.0f} GB",
        ]


def main() -> None:
    """Replace what stands between the marks of the page."""
    rows = json.loads((HERE / "RESULTS.json").read_text())["rows"]
    order = list(TITLES)
    rows.sort(key=lambda row: order.index(row["name"]))
    tables = {
        "large": table(
            [
                *("network", "neurons", "synapses that are not 0", "stored weights"),
                *("export", "simulate", "estimate", "model, artifact"),
            ],
            large(rows),
        ),
        "fleet": table(
            [
                *("each model like", "export", "a sample", "a model", "core-hours a day"),
                *("cores", "memory of a worker", "artifacts a day"),
            ],
            fleet(rows),
        ),
    }
    text = PAGE.read_text()
    for name, made in tables.items():
        marks = f"<!-- {name}, by benchmarks/scale/publish.py -->", f"<!-- end of {name} -->"
        pattern = f"{re.escape(marks[0])}.*?{re.escape(marks[1])}"
        text = re.sub(pattern, f"{marks[0]}\n\n{made}\n\n{marks[1]}", text, flags=re.DOTALL)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
