"""The ratios and the curves as one drawing."""

import io
from collections.abc import Mapping
from typing import Any

OURS = 1.0


def drawn(document: Mapping[str, Any]) -> str:
    """Return an SVG; nothing where matplotlib is missing."""
    try:
        import matplotlib  # noqa: PLC0415 - the numbers do not need it
    except ImportError:
        return ""
    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    curves = document.get("curves", [])
    with pyplot.rc_context({"svg.hashsalt": "simulator", "font.size": 8, "svg.fonttype": "none"}):
        figure = pyplot.figure(figsize=(9, 4.5 if curves else 3), layout="constrained")
        rows = figure.subfigures(2 if curves else 1, 1, squeeze=False)[:, 0]
        _ratios(document, rows[0])
        if curves:
            _curves(curves, rows[1])
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return text.getvalue()


def _ratios(document: Mapping[str, Any], figure: Any) -> None:
    axes = figure.subplots()
    networks = list(dict.fromkeys(row["network"] for row in document["rows"]))
    names = list(dict.fromkeys(row["simulator"] for row in document["rows"]))[1:]
    for i, name in enumerate(names):
        measured = [r for r in document["rows"] if r["simulator"] == name and not r["reason"]]
        at = [networks.index(r["network"]) + 0.8 * ((i + 0.5) / len(names) - 0.5) for r in measured]
        axes.bar(at, [r["ratio"] - OURS for r in measured], 0.8 / len(names), OURS, label=name)
    axes.axhline(OURS, color="black", linewidth=0.8)
    axes.set(yscale="log", ylabel="times as long as ours")
    axes.set_xticks(range(len(networks)), networks)
    if names:
        axes.legend(ncols=2, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _curves(curves: list[dict[str, Any]], figure: Any) -> None:
    for axes, curve in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves, strict=True):
        axes.plot(curve["x"], curve["ms"], "o", markersize=3)
        ends = [min(curve["x"]), max(curve["x"])]
        axes.plot(ends, [curve["offset"] + curve["slope"] * x for x in ends], linewidth=0.8)
        axes.set(xlabel=curve["unit"], ylabel=curve["what"], title=curve["name"])
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
