"""What was measured as tables: ratios first, then milliseconds a sample."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def report(document: Mapping[str, Any]) -> str:
    """Return all tables as markdown."""
    parts = [_head, _ratios, _times, _roofline, _curves, _memory, _settings, _networks]
    return "\n".join(line for part in parts for line in [*part(document), ""]).rstrip() + "\n"


def summary(document: Mapping[str, Any]) -> str:
    """Return the tables that the documentation shows."""
    parts = [_machine, _ratios, _times, _roofline, _curves, _memory]
    return "\n".join(line for part in parts for line in [*part(document), ""]).rstrip() + "\n"


def number(value: float | None) -> str:
    """Return a number with three digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield an aligned table; all columns but the first are aligned to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    yield f"| {' | '.join(rules)} |"
    yield from (line(row) for row in rows)


def _head(document: Mapping[str, Any]) -> Iterator[str]:
    yield "# Speed of the event simulator"
    yield ""
    yield "Written by `run.py`; `README.md` says what is measured and how."
    yield ""
    yield from _machine(document)


def _machine(document: Mapping[str, Any]) -> Iterator[str]:
    machine = document["machine"]
    load = f"load {machine['load_at_start']:.1f} at the start"
    if "load_at_end" in machine:
        load += f", {machine['load_at_end']:.1f} at the end"
    yield f"{machine['processor']}, {machine['cores']} cores, {load}."


def _names(document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    rows = document["rows"]
    return (
        list(dict.fromkeys(row["network"] for row in rows)),
        list(dict.fromkeys(row["simulator"] for row in rows)),
    )


def _cells(document: Mapping[str, Any], shown: Any, *, ours: bool) -> Iterator[str]:
    networks, simulators = _names(document)
    found = {(row["network"], row["simulator"]): row for row in document["rows"]}
    lines = []
    for simulator in simulators if ours else simulators[1:]:
        cells = [found.get((network, simulator)) for network in networks]
        lines.append([simulator, *("" if row is None else shown(row) for row in cells)])
    yield from table(["", *networks], lines)


def _ratios(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Times as long as ours"
    yield ""
    yield (
        "Milliseconds a sample by ours, each at its best batch, threads and mode; the median of "
        "runs in turns, and in brackets the lowest and the highest."
    )
    yield ""

    def shown(row: Row) -> str:
        if row["reason"]:
            return "-"
        low, high = min(row["ratios"]), max(row["ratios"])
        return f"{number(row['ratio'])} ({number(low)} to {number(high)})"

    yield from _cells(document, shown, ours=False)
    yield ""
    yield "One sample at a time:"
    yield ""

    def one(row: Row) -> str:
        return "-" if row["reason"] else number(row["alone_ms"] / row["our_alone_ms"])

    yield from _cells(document, one, ours=False)
    reasons = [row for row in document["rows"] if row["reason"]]
    if reasons:
        yield ""
        by_reason: dict[tuple[str, str], list[str]] = {}
        for row in reasons:
            by_reason.setdefault((row["simulator"], row["reason"]), []).append(row["network"])
        for (simulator, reason), networks in by_reason.items():
            yield f"- {simulator} ({', '.join(networks)}): {reason}"


def _times(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Milliseconds a sample"
    yield ""
    yield "At the best setting; in brackets one sample at a time."
    yield ""

    def shown(row: Row) -> str:
        return "-" if row["reason"] else f"{number(row['ms'])} ({number(row['alone_ms'])})"

    yield from _cells(document, shown, ours=True)


def _roofline(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Synaptic operations a second"
    yield ""
    rates = document["roofline"]
    if isinstance(rates, str):
        yield f"No roofline: {rates}."
    else:
        yield "Rows of int8 weights added into accumulators in registers, by `roofline.c` [1e9/s]:"
        yield ""
        kernels = list(dict.fromkeys(name.rsplit(" ", 1)[0] for name in rates))
        lines = [[k, *(number(rates[f"{k} x{n}"] / 1e9) for n in (1, 2))] for k in kernels]
        yield from table(["kernel", "1 thread", "2 threads"], lines)
    yield ""
    yield "Ours on one thread, with neurons, input and the call itself:"
    yield ""
    yield from table(
        ["", "1e9/s", "of int32", "of int16"],
        [
            [name, number(rate / 1e9), *(_share(rate, rates, kernel.format(w)) for w in WIDTHS)]
            for name, rate, kernel in _rates(document)
        ],
    )


WIDTHS = ("int32", "int16")
SHORT = ("cnn", "vgg")
"""Networks whose rows of weights are those of convolutions; the others' are dense."""


def _rates(document: Mapping[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Yield name, rate and kernel of each layer and network of ours."""
    for layer in document.get("layers", ()):
        yield layer["name"], layer["rate"], layer["kernel"]
    for network in document["networks"]:
        kernel = "short {}" if network["name"] in SHORT else "dense {} L2"
        rate = network["operations"] / (network["one_thread_ms"] / 1000)
        yield network["title"], rate, "" if network["name"] == "sparse" else kernel


def _share(rate: float, rates: Mapping[str, float] | str, kernel: str) -> str:
    if isinstance(rates, str) or not kernel:
        return ""
    return f"{100 * rate / rates[f'{kernel} x1']:.0f} %"


def _curves(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## How time grows"
    yield ""
    curves = document.get("curves")
    if not curves:
        yield "Not measured in this run."
        return
    yield "One thread, batches of 16 (but for the curve of batches), shortest of five rounds."
    yield ""
    lines = [
        [
            curve["name"],
            curve["unit"],
            " ".join(number(x) for x in curve["x"]),
            curve["what"],
            " ".join(number(ms) for ms in curve["ms"]),
            f"{number(curve['offset'])} + {number(curve['slope'])} x",
            f"{curve['r2']:.4f}",
        ]
        for curve in curves
    ]
    yield from table(["curve", "x", "at", "y", "measured", "line", "R2"], lines)


def _memory(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Memory of a run"
    yield ""
    rows = document.get("memory")
    if not rows or isinstance(rows, str):
        yield f"Not measured: {rows}." if rows else "Not measured in this run."
        return
    yield (
        "Peak above what was resident before the run, its parameters and input among it; one "
        "sample of 784-512-512-10 [MB]."
    )
    yield ""
    steps = list(dict.fromkeys(row["steps"] for row in rows))
    found = {(row["record"], row["steps"]): row["bytes"] for row in rows}
    records = list(dict.fromkeys(row["record"] for row in rows))
    lines = [[r, *(f"{found[r, t] / 1e6:.1f}" for t in steps)] for r in records]
    yield from table(["recorded", *(f"T={t}" for t in steps)], lines)


def _settings(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Best settings, and how results were compared"
    yield ""
    head = ["network", "simulator", "setting", "spread", "compared"]
    lines = [
        [
            row["network"],
            f"{row['simulator']} ({row['versions']})",
            row["best"],
            "" if row["spread"] is None else f"{100 * row['spread']:.0f} %",
            row["agreement"],
        ]
        for row in document["rows"]
        if not row["reason"]
    ]
    yield from table(head, lines)


def _networks(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Networks"
    yield ""
    lines = []
    for network in document["networks"]:
        shares = " ".join(f"{100 * share:.1f}" for share in network["activity"].values())
        lines.append([network["title"], f"{100 * network['input_activity']:.1f} %", shares])
    yield from table(
        ["network", "input active", "spikes per neuron and 100 steps, by layer"], lines
    )
