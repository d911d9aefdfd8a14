"""report.html: one file that asks for nothing, in light and dark, on paper and on small screens."""

import base64
import hashlib
from functools import cache
from html import escape
from importlib import resources
from importlib.util import find_spec
from typing import Any

from snn_deploy.deploy.energy import Grade
from snn_deploy.deploy.manifest import PAGE
from snn_deploy.deploy.report import words
from snn_deploy.deploy.report.model import Report
from snn_deploy.deploy.report.pictures import Pictures, draw, kinds_of, layer_colours
from snn_deploy.deploy.report.svg import SERIES
from snn_deploy.errors import MissingLibraryError

LIBRARIES = ("matplotlib", "jinja2")
"""What draws it, in the extra `report`."""

INSTALL = "pip install 'snn-deploy[report]'"

ROWS = 60
"""Most rows of a table; what follows is in report.json."""


def missing_libraries() -> tuple[str, ...]:
    """Return the libraries that a page needs and that are not installed."""
    return tuple(name for name in LIBRARIES if find_spec(name) is None)


def left_out() -> str:
    """Return what an artifact has no page for, and how to have it; empty: it has one."""
    missing = missing_libraries()
    return f"no {PAGE}: it needs {' and '.join(missing)}; {INSTALL}" if missing else ""


def check_libraries() -> None:
    """Refuse to draw a page without what draws it.

    Raises:
        MissingLibraryError: it is not installed.
    """
    missing = missing_libraries()
    if missing:
        raise MissingLibraryError(
            f"a page is drawn by {' and '.join(LIBRARIES)}; not installed: {', '.join(missing)}",
            where=PAGE,
            fix=INSTALL,
        )


def page(report: Report) -> bytes:
    """Return a report as one HTML file.

    Raises:
        MissingLibraryError: what draws it is not installed.
    """
    check_libraries()
    style = _style()
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    given = _given(report, draw(report))
    return _written("page.html.j2", style=style, policy=policy, **given).encode()


def cell(report: Report) -> str:
    """Return a report for the cell of a notebook: parts that open, styles that stay inside.

    Without matplotlib it has no pictures, without jinja2 it is plain text.
    """
    missing = missing_libraries()
    if "jinja2" in missing:
        return f"<pre>{escape(str(report))}</pre>"
    pictures = Pictures() if missing else draw(report)
    return _written("cell.html.j2", style=_style(), **_given(report, pictures))


@cache
def _style() -> str:
    return _text("style.css").strip()


def _text(name: str) -> str:
    return (resources.files("snn_deploy.deploy.report") / "templates" / name).read_text("utf-8")


def _given(report: Report, pictures: Pictures) -> dict[str, Any]:
    """Return what the templates read."""
    measured = report.measured
    cost = None if measured is None else measured.cost
    kinds = {} if cost is None else kinds_of(cost)
    colours = {} if report.cores is None else layer_colours(report.cores)
    return {
        "report": report,
        "measured": measured,
        "pictures": pictures,
        "rows": ROWS,
        "active": {} if measured is None else {a.layer: a for a in measured.activity},
        "observed": {}
        if measured is None
        else {(one.layer, one.named): one for one in measured.observed},
        "rounded": {record["name"]: record for record in report.rounding},
        "kinds": tuple(zip(kinds.items(), (ink.name.lower() for ink in SERIES), strict=False)),
        "colours": {layer: ink.name.lower() for layer, ink in colours.items()},
        "proven": all(layer.range.proven for layer in report.layers),
        "install": INSTALL,
        "drawn": bool(pictures.weights or pictures.ranges or pictures.rasters),
    }


@cache
def _environment() -> Any:
    """Return the templates, which escape all that they are given."""
    import jinja2  # noqa: PLC0415 - an extra

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "plain": lambda text: words.plain(str(text)),
        "sentence": lambda text: words.plain(str(text), words.LONGEST_TEXT),
        "option": words.option,
        "si": words.si,
        "number": words.number,
        "share": words.share,
        "shape": lambda shape: words.TIMES.join(map(str, shape)),
        "weights_of": _weights_of,
        "grade": lambda grade: grade.value if isinstance(grade, Grade) else str(grade),
    }
    return made


def _weights_of(record: dict[str, Any] | None) -> str:
    """Return how well the worst weights into a layer became integers."""
    if not record or not record["projections"]:
        return words.NONE
    noise = [p["snr_db"] for p in record["projections"] if p["snr_db"] is not None]
    return f"{min(noise):.1f} dB" if noise else "exact"


def _written(template: str, **given: Any) -> str:
    return str(_environment().get_template(template).render(**given))
