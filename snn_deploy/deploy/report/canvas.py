"""Small matplotlib figures with the page's colours; the same picture has the same bytes."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from snn_deploy.deploy.report.svg import Ink

WIDTH = 380
"""Of a picture [px]."""

SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "snn-deploy",
    "path.simplify": False,
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": Ink.LINE.value,
    "axes.labelcolor": Ink.FAINT.value,
    "xtick.color": Ink.FAINT.value,
    "ytick.color": Ink.FAINT.value,
    "grid.color": Ink.LINE.value,
    "text.color": Ink.TEXT.value,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in our own settings, whatever the user's are; names may have characters of no font."""
    import matplotlib  # noqa: PLC0415 - an extra

    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


class Canvas:
    """One picture with one pair of axes.

    Args:
        height: Of the axes [px].
        left: Room for the labels of rows [px].
        bottom: Room for the labels of the horizontal axis [px].
    """

    def __init__(self, height: float, *, left: float = 44, bottom: float = 34) -> None:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

        top, right = 6, 12
        whole = height + bottom + top
        self.figure: Any = Figure(figsize=(WIDTH / 72, whole / 72), dpi=72)
        self.figure.patch.set_alpha(0)
        box = (left / WIDTH, bottom / whole, (WIDTH - left - right) / WIDTH, height / whole)
        self.axes: Any = self.figure.add_axes(box)
        self.axes.patch.set_alpha(0)
        self.axes.tick_params(length=0, pad=5)
        self.axes.spines[["top", "right", "left"]].set_visible(False)
        self.width = WIDTH - left - right
        self.height = height

    def svg(self) -> str:
        """Return the picture as matplotlib writes it."""
        from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 - an extra

        written = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(self.figure).print_svg(written, metadata=nothing)
        return written.getvalue()
