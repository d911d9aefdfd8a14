"""Writes the tables of docs/scale.md from RESULTS.json."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "scale.md"

STRUCTURES = HERE.parent.parent / "examples" / "structures" / "results.json"
SIMULATOR = HERE.parent / "simulator" / "RESULTS.json"

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


def jobs(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, float, float | None]]:
    """Yield what one model can need: what, seconds of a core, bytes of memory where measured."""
    for row in rows:
        title, took = TITLES[row["name"]], row["commands"]
        for command in ("export", "estimate"):
            yield f"{command}, {title}", took[command]["seconds"], took[command]["bytes"]
        if row["samples"]:
            one, many = took["evaluate one"], took["evaluate many"]
            each = (many["seconds"] - one["seconds"]) / (row["samples"] - 1)
            took_all = one["seconds"] + SAMPLES * each
            yield f"evaluate {SAMPLES:,} samples, {title}", took_all, many["bytes"]
    for name in ("vgg11", "sew18", "sew34"):
        found = json.loads(STRUCTURES.read_text())[name]
        seconds = found["import_seconds"] + found["export_seconds"]
        yield f"import and export, {found['structure']}", seconds, found["memory"] * 1e9
    for network in json.loads(SIMULATOR.read_text())["networks"]:
        if network["name"] in ("mlp", "cnn"):
            seconds = SAMPLES * network["one_thread_ms"] / 1e3
            yield f"simulate {SAMPLES:,} samples, {network['title']}", seconds, None


def fleet(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[str]]:
    """Yield one line for each job: what so many of it a day take."""
    for what, seconds, memory in jobs(rows):
        hours = MODELS * seconds / 3600
        yield [
            what,
            f"{seconds:,.1f} s",
            f"{hours:,.0f}",
            f"{math.ceil(hours / 24 / USE):,}",
            "-" if memory is None else f"{memory / 1e9:.2f} GB",
        ]


def disk(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[str]]:
    """Yield one line for each network: the bytes of its artifact."""
    for row in rows:
        yield [
            TITLES[row["name"]],
            f"{row['artifact'] / 1e6:,.1f} MB",
            f"{row['artifact'] / row['weights']:,.1f}",
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
            ["one of these for each model", "a core", "core-hours a day", "cores", "memory"],
            fleet(rows),
        ),
        "disk": table(
            ["network", "artifact", "bytes for a stored weight", f"{MODELS:,} of them"], disk(rows)
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
