"""Put the table and the plot of results.json into the documentation.

python examples/methods/publish.py
"""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_deploy.ir.words import counted

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "methods.md"
BEGIN = "<!-- written by examples/methods/publish.py -->"
END = "<!-- end -->"

MANY = re.compile(r"((?:\d+ ){3})(?:\d+ ){24,}(\d+)")
"""Numbers of which the first and the last are enough."""

LARGE = 1e-3
"""Energy that is written in mJ [J]."""

SHOWN = "MNIST"
"""Task whose rows are drawn: accuracies of others are no match for them."""

TICKS = (2, 5, 10, 20, 50)
"""Of the energy axis [µJ]."""

MARKERS = "osD^vP*"
"""As many as no two methods of one colour share."""

Results = Mapping[str, Mapping[str, Any]]


def table(results: Results) -> str:
    """Return the tables of all rows, and notes on what they cannot say in a cell."""
    lines = [
        "| method | trained [%]: float, plain, 8 x 8 | differing spikes | NIR | 8 bits: bit-exact "
        "| Lava | accuracy of integers [%] | spikes | energy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, row in results.items():
        trained, integers = good(row)
        spikes = f"{row['different_spikes']} in {counted(row['compared'], 'sample')}"
        nir = "annotated" if row["strict"] else "strict"
        exact = f"{row['states']:,} states" if row["bit_exact"] else "no"
        where = "native" if row["native"] == "native" else "simulated"
        lava = f"{where}, {row['lava']}"
        factor, unit = (1e3, "mJ") if row["energy"] >= LARGE else (1e6, "µJ")
        energy = f"{row['energy'] * factor:.2g} {unit} ({row['energy_low'] * factor:.2g} to "
        energy += f"{row['energy_high'] * factor:.2g})"
        cells = (
            f"[{row['method']}](../examples/methods/{key}.py){'*' if row['provisional'] else ''}",
            *(trained, spikes, nir, f"{row['target']}: {exact}", lava),
            *(integers, f"{row['spikes']:.0f}", energy),
        )
        lines.append(f"| {' | '.join(cells)} |")
    unverified = [row for row in results.values() if row["provisional"]]
    if unverified:
        lines += ["", "\\* Provisional: the trip is proven, the method is not verified.", ""]
        lines += [f"- {row['method']}: {row['provisional']}." for row in unverified]
    lines += ["", "What stands in the way of plain NIR and of the chip's own neurons:", ""]
    for row in results.values():
        strict = "; ".join(line.strip() for line in row["strict"].splitlines()[1:])
        strict = MANY.sub(r"\1... \2", strict) or "plain NIR says it, decomposed where needed"
        lines.append(f"- **{row['method']}**, {row['steps']} steps. NIR: {strict}.")
        lines.append(f"  {row['target']}: {row['native']}. Seen when wrong: {row['hazard']}.")
        if row.get("further"):
            lines.append(f"  Also measured: {row['further']}.")
    return "\n".join(lines)


def good(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return how good a network is as it was trained, beside others, and as integers."""
    if row.get("float_error") is not None:
        trained = f"error {row['float_error']:.3f}, {row['plain_error']:.3f}"
        return trained, f"error {row['integer_error']:.3f}"
    small = row["digits_accuracy"]
    trained = f"{row['float_accuracy']:.1f}, {row['plain_accuracy']:.1f}"
    return trained + ("" if small is None else f", {small:.1f}"), f"{row['integer_accuracy']:.1f}"


def plot(results: Results) -> str:
    """Return accuracy against energy as SVG; the same results give the same bytes."""
    import matplotlib  # noqa: PLC0415 - the table needs none

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    with matplotlib.rc_context({"svg.hashsalt": "methods", "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(figsize=(8, 5.2), layout="constrained")
        shown = [row for row in results.values() if row["task"] == SHOWN]
        for index, row in enumerate(shown):
            joules = row["energy"] * 1e6
            low, high = row["energy_low"] * 1e6, row["energy_high"] * 1e6
            spread = [[joules - low], [high - joules]]
            axes.errorbar(
                joules,
                row["integer_accuracy"],
                xerr=spread,
                fmt=MARKERS[index % len(MARKERS)],
                color=f"C{index % 10}",
                elinewidth=0.6,
                label=row["method"] + (" *" if row["provisional"] else ""),
            )
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [f"{tick}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_xlabel("energy of a sample [µJ], Loihi 2, with the span of published prices")
        axes.set_ylabel("accuracy of integers on 1,000 MNIST digits [%]")
        axes.grid(alpha=0.3)
        figure.legend(loc="outside right center", fontsize="small")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    lines = buffer.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def published(page: str, tables: str) -> str:
    """Return the page with `tables` between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Rewrite the page and its plot."""
    results = json.loads((HERE / "results.json").read_text())
    PAGE.write_text(published(PAGE.read_text(), table(results)))
    PAGE.with_suffix(".svg").write_text(plot(results))


if __name__ == "__main__":
    main()
