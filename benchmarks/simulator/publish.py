"""Puts the tables and the drawing of RESULTS into the documentation.

python benchmarks/simulator/publish.py
"""

import json
from pathlib import Path

from plot import drawn
from tables import summary

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "speed.md"
BEGIN = "<!-- written by benchmarks/simulator/publish.py -->"
END = "<!-- end -->"


def published(page: str, tables: str) -> str:
    """Return the page with `tables` between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Rewrite the page and its drawing."""
    document = json.loads((HERE / "RESULTS.json").read_text())
    PAGE.write_text(published(PAGE.read_text(), summary(document)))
    drawing = drawn(document)
    if drawing:
        PAGE.with_suffix(".svg").write_text(drawing)


if __name__ == "__main__":
    main()
