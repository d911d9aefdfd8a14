"""Put the tables of results.json into the documentation.

python examples/structures/publish.py
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "structures.md"
BEGIN = "<!-- written by examples/structures/publish.py -->"
END = "<!-- end -->"

Results = Mapping[str, Mapping[str, Any]]

HEADINGS = (
    *("structure", "neurons, synapses", "differing spikes", "NIR", "8 bits: bit-exact", "Lava"),
    *("Loihi 1", "Loihi 2", "energy of a sample", "import, export, memory"),
)


def link(row: Mapping[str, Any]) -> str:
    """Return a structure's name with a link to its file."""
    return f"[{row['structure']}](../examples/structures/{row['file']}.py)"


def table(results: Results) -> str:
    """Return the table of all rows, and notes on what they cannot say in a cell."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    for row in results.values():
        cells = (link(row), *(_refused(row) if row["refused"] else _cells(row)))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "What each is, and what stands in the way of plain NIR and of a chip:", ""]
    for row in results.values():
        lines += _notes(row)
    return "\n".join(lines)


def _refused(row: Mapping[str, Any]) -> tuple[str, ...]:
    return ("", f"refused: {row['refused']}", *("",) * (len(HEADINGS) - 3))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    nir = "annotated" if row["strict"] else "strict"
    states = f"{row['states']:,} states" if row["bit_exact"] else "no"
    where = "native" if row["native"] == "native" else "simulated"
    ran = row["lava"] in ("equal", "differs")
    lava = f"{where}, {row['lava']}" if ran else where
    if ran and row["lava_width"] != row["width"]:
        lava += f" (at width {row['lava_width']})"
    fits = [row["fits"].get(chip, "not tried").partition(":")[0] for chip in ("loihi1", "loihi2")]
    energy = f"{_joules(row['energy'])} ({_joules(row['energy_low'])} to "
    energy += f"{_joules(row['energy_high'])})"
    cost = f"{_seconds(row['import_seconds'])}, {_seconds(row['export_seconds'])}, "
    cost += f"{row['memory']:.1f} GB"
    return (
        f"{row['neurons']:,}, {_large(row['synapses'])}",
        f"{row['different_spikes']} of {row['spikes']:,}",
        *(nir, states, lava, *fits, energy, cost),
    )


def _notes(row: Mapping[str, Any]) -> list[str]:
    about = f"- **{row['structure']}**, {row['neurons_of']}, {row['steps']} steps"
    about += f", width {row['width']}" if row["width"] else ""
    note = f" {row['note']}" if row["note"] else ""
    if row["refused"]:
        return [f"{about}.{note} {row['refused']}: {row['reason']}."]
    strict = "; ".join(line.strip() for line in row["strict"].splitlines()[1:])
    strict = strict or "plain NIR says it, decomposed where needed"
    scored = f" {row['accuracy']}." if row.get("accuracy") else ""
    spread = f"{row['least_active']:.0f} to {row['most_active']:.0f} %"
    lines = [
        f"{about}; layers active by {spread}.{note}{scored} NIR: {strict}.",
        f"  loihi2: {row['native']}.",
    ]
    if row["overflows"]:
        lines.append(f"  Registers saturated or wrapped {row['overflows']:,} times.")
    lines += [f"  {chip}: {said}." for chip, said in row["fits"].items() if said.startswith("no")]
    if row["lava"] not in ("equal", "differs"):
        lines.append(f"  Lava: not run, {row['lava']}.")
    return lines


def _large(count: int) -> str:
    """Return a count to two digits: 11628870 is 12 million."""
    for size, name in ((10**9, " billion"), (10**6, " million"), (10**3, " thousand")):
        if count >= size:
            return _short(count / size) + name
    return f"{count}"


def _joules(energy: float) -> str:
    for size, unit in ((1e-3, "mJ"), (1e-6, "µJ")):
        if energy >= size:
            return f"{_short(energy / size)} {unit}"
    return f"{_short(energy / 1e-9)} nJ"


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"


def published(page: str, tables: str) -> str:
    """Return the page with `tables` between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Rewrite the page."""
    results = json.loads((HERE / "results.json").read_text())
    PAGE.write_text(published(PAGE.read_text(), table(results)))


if __name__ == "__main__":
    main()
