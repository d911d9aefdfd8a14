"""The front as a picture: accuracy against each aim, SVG."""

import io
from collections.abc import Sequence

from snn_deploy.deploy.tuning.measuring import Measured
from snn_deploy.deploy.tuning.study import Aim, Tried

LABELS = {
    Aim.ENERGY: ("energy [uJ per sample]", 1e6),
    Aim.MEMORY: ("weights [KiB]", 1 / 8192),
    Aim.LATENCY: ("latency [steps of the chip]", 1.0),
}

BLUE, GREY, RED = "#1f6feb", "#8c959f", "#cf222e"


def front_svg(
    tried: Sequence[Tried],
    kept: Sequence[Tried],
    chosen: Tried,
    aims: Sequence[Aim],
    tested: dict[int, Measured],
) -> bytes | None:
    """Return a picture of the front; same trials, same bytes. None: matplotlib is not installed.

    Args:
        tried: All trials: small dots, at their accuracy on the data that settings were chosen on.
        kept: The front, joined.
        chosen: The one that is taken.
        aims: One panel each.
        tested: By trial, the front on the test data: rings.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    with mpl.rc_context({"svg.hashsalt": "snn-deploy", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5.2 * len(aims), 3.8), layout="constrained")
        for number, aim in enumerate(aims):
            label, scale = LABELS[aim]
            axes = figure.add_subplot(1, len(aims), number + 1)
            every = [one.measured for one in tried if one.measured is not None]
            _dots(axes, every, aim, scale, color=GREY, s=10, label="tried")
            own = sorted((one.measured for one in kept if one.measured is not None), key=aim.of)
            line = [scale * aim.of(one) for one in own]
            axes.plot(line, [one.accuracy for one in own], "-", color=BLUE, lw=1)
            _dots(axes, own, aim, scale, color=BLUE, s=18, label="front, as chosen on")
            rings = [tested[one.number] for one in kept]
            _dots(axes, rings, aim, scale, color=BLUE, s=36, label="front, test data", ring=True)
            marked = [tested[chosen.number]]
            _dots(axes, marked, aim, scale, color=RED, s=90, label="chosen, test data", ring=True)
            marked = [tested[tried[0].number]]
            _dots(
                axes,
                marked,
                aim,
                scale,
                color="#000000",
                s=60,
                label="default, test data",
                marker="x",
            )
            axes.set_xlabel(label)
            axes.set_ylabel("accuracy [%]")
            _zoom(axes, [*own, *rings, tested[tried[0].number]])
            axes.grid(color="#d0d7de", lw=0.5)
            if number == 0:
                axes.legend(fontsize=7, loc="lower right")
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _dots(
    axes: object,
    found: Sequence[Measured],
    aim: Aim,
    scale: float,
    *,
    color: str,
    s: float,
    label: str,
    ring: bool = False,
    marker: str = "o",
) -> None:
    """Draw measurements as dots, rings or crosses."""
    style = {"facecolors": "none", "edgecolors": color} if ring else {"color": color}
    axes.scatter(  # type: ignore[attr-defined]
        [scale * aim.of(one) for one in found],
        [one.accuracy for one in found],
        s=s,
        label=label,
        marker=marker,
        **style,
    )


MOST_POINTS = 25.0
"""Points of accuracy that a picture shows at most: what is far below the front is no choice."""


def _zoom(axes: object, shown: Sequence[Measured]) -> None:
    top = max(one.accuracy for one in shown)
    low = max(min(one.accuracy for one in shown), top - MOST_POINTS)
    room = 0.06 * max(top - low, 1.0)
    axes.set_ylim(low - room, top + room)  # type: ignore[attr-defined]
