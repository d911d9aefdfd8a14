"""The pictures of a report, each an SVG element."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from snn_deploy.deploy.energy import Event
from snn_deploy.deploy.report.canvas import Canvas, drawing
from snn_deploy.deploy.report.model import (
    Agreement,
    Cell,
    Cores,
    Cost,
    Histogram,
    Measured,
    Other,
    Raster,
    Report,
)
from snn_deploy.deploy.report.svg import SERIES, Ink, embedded
from snn_deploy.deploy.report.words import number, plain, share, si

ROWS = 24
"""Most rows of a picture that has one for each layer."""

CHIPS = 6
"""Most chips that are drawn."""

ROW = 20
"""Height of a row [px]."""

NAMES = 96
"""Room for names of rows [px]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An SVG element and what is said under it."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """All pictures of a report; an empty tuple where there is nothing to draw."""

    rasters: tuple[Picture, ...] = ()
    agreement: tuple[Picture, ...] = ()
    weights: tuple[Picture, ...] = ()
    ranges: tuple[Picture, ...] = ()
    energy: tuple[Picture, ...] = ()
    others: tuple[Picture, ...] = ()
    cores: tuple[Picture, ...] = ()


def draw(report: Report) -> Pictures:
    """Return the pictures of a report."""
    with drawing():
        measured, cores = report.measured, report.cores
        weights = tuple(_histogram(i, one) for i, one in enumerate(report.weights))
        chips = () if cores is None else tuple(_chips(cores))
        ranges = tuple(_ranges(report))
        if measured is None:
            return Pictures(weights=weights, cores=chips, ranges=ranges)
        return Pictures(
            rasters=tuple(_raster(i, one, measured) for i, one in enumerate(measured.rasters)),
            agreement=tuple(_agreement(measured.agreement)),
            weights=weights,
            ranges=ranges,
            energy=() if measured.cost is None else tuple(_energy(measured.cost)),
            others=tuple(_others(measured)),
            cores=chips,
        )


def _rows(canvas: Canvas, names: Sequence[str]) -> None:
    """Name the rows of a picture, the first one on top."""
    axes = canvas.axes
    axes.set_yticks(range(len(names)), [plain(name, 22) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    for label in axes.get_yticklabels():
        label.set_color(Ink.TEXT.value)
    axes.grid(axis="x", linewidth=0.7)
    axes.set_axisbelow(True)


def _ticks(axes: Any, text: Callable[[float], str], most: int = 5) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator  # noqa: PLC0415

    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def _raster(place: int, one: Raster, measured: Measured) -> Picture:
    canvas = Canvas(120 if len(one.shown) > 1 else 30)
    axes, count = canvas.axes, len(one.shown)
    tall = max(0.42, 1.1 * count / canvas.height)  # at least two pixels
    times: list[float] = []
    rows: list[float] = []
    for row, train in enumerate(one.trains):
        for step in train:
            times += (step, step, math.nan)
            rows += (row - tall, row + tall, math.nan)
    thick = min(5.0, max(0.8, 0.7 * canvas.width / one.shown_steps))
    axes.plot(times, rows, color=Ink.ONE.value, linewidth=thick, solid_capstyle="butt")
    axes.set_xlim(-0.5, one.shown_steps - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    marks = [0, count - 1] if count > 1 else [0]
    axes.set_yticks(marks, [f"{one.shown[mark]:,}" for mark in marks])
    axes.set_xlabel("step", labelpad=2)
    _ticks(axes, lambda value: f"{value:,.0f}", 6)
    spikes = sum(map(len, one.trains))
    which = f"{count:,} of {one.neurons:,}" if count < one.neurons else f"{count:,}"
    when = (
        f", first {one.shown_steps:,} of {one.steps:,} steps" if one.shown_steps < one.steps else ""
    )
    name = plain(one.layer)
    return Picture(
        svg=embedded(
            canvas.svg(),
            key=f"raster{place}",
            title=f"Spikes of {name}",
            description=f"Sample {measured.number}: {spikes:,} spikes of {which} neurons "
            f"in {one.shown_steps:,} steps.",
        ),
        caption=f"{name}: {which} neurons{when}",
    )


def _histogram(place: int, one: Histogram) -> Picture:
    canvas = Canvas(110)
    axes = canvas.axes
    edges = [one.low + one.width * i for i in range(len(one.before) + 1)]
    axes.stairs(one.before, edges, fill=True, color=Ink.TWO.value, alpha=0.4, linewidth=0)
    axes.stairs(one.after, edges, color=Ink.ONE.value, linewidth=1.3)
    axes.set_xlim(edges[0], edges[-1])
    most = max((*one.before, *one.after))
    axes.set_ylim(0, most * 1.05)
    axes.set_yticks([0, most], ["0", number(most)])
    axes.set_xlabel("weight", labelpad=2)
    _ticks(axes, lambda value: f"{value:.3g}", 6)
    name = plain(one.projection)
    counted = "" if one.counted == one.weights else f"; {one.counted:,} evenly spread ones counted"
    return Picture(
        svg=embedded(
            canvas.svg(),
            key=f"weights{place}",
            title=f"Weights of {name}",
            description=f"From {edges[0]:.3g} to {edges[-1]:.3g}, before and after quantization.",
        ),
        caption=f"{name}: {one.weights:,} weights, {one.levels:,} stored values{counted}",
    )


def _agreement(found: Sequence[Agreement]) -> Iterator[Picture]:
    rows = [a for a in found if a.mismatch is not None][:ROWS]
    if not rows:
        return
    canvas = Canvas(ROW * len(rows), left=NAMES, bottom=22)
    axes = canvas.axes
    whole = [100 * (a.mismatch or 0) for a in rows]
    alone = [100 * (a.alone or 0) for a in rows]
    places = range(len(rows))
    axes.barh([p - 0.18 for p in places], whole, 0.34, color=Ink.ONE.value)
    axes.barh([p + 0.18 for p in places], alone, 0.34, color=Ink.TWO.value)
    _rows(canvas, [plain(a.layer, 15) for a in rows])
    axes.set_xlim(0, max((*whole, *alone, 1)) * 1.05)
    _ticks(axes, lambda value: f"{value:g} %")
    worst = max(rows, key=lambda a: a.mismatch or 0)
    yield Picture(
        svg=embedded(
            canvas.svg(),
            key="agreement",
            title="Raster mismatch of each layer",
            description=f"The largest is {share(worst.mismatch)}, of {plain(worst.layer)}.",
        ),
        caption="",
    )


def _ranges(report: Report) -> Iterator[Picture]:
    """Yield what registers held, may reach and can hold, in powers of two."""
    observed = () if report.measured is None else report.measured.observed
    seen = {(o.layer, o.named): o.magnitude for o in observed}
    rows = [(layer, register) for layer in report.layers for register in layer.range.registers]
    rows = [(layer, r) for layer, r in rows if r.register.split(" ", 1)[-1] in REGISTERS][:ROWS]
    if not rows:
        return
    canvas = Canvas(ROW * len(rows), left=NAMES + 40)
    axes = canvas.axes
    for place, (layer, register) in enumerate(rows):
        axes.barh(place, _bits(register.holds), 0.62, color=Ink.LINE.value)
        reach = register.holds if register.reach is None else register.reach
        colour = Ink.TWO if register.proven else Ink.EIGHT
        axes.barh(place, _bits(reach), 0.62, color=colour.value, alpha=0.5)
        held = seen.get((layer.layer, register.register))
        if held is not None:
            axes.barh(place, _bits(held), 0.3, color=Ink.ONE.value)
    _rows(canvas, [f"{plain(x.layer, 15)} {_register(r.register)}" for x, r in rows])
    axes.set_xlabel("bits of magnitude", labelpad=2)
    _ticks(axes, lambda value: f"{value:g}")
    yield Picture(
        svg=embedded(
            canvas.svg(),
            key="ranges",
            title="States against their bounds",
            description="For each register the largest number that it held, the largest that any "
            "input can give it, and the largest that it holds.",
        ),
        caption="",
    )


REGISTERS = {
    "membrane": "v",
    "current": "i",
    "current 2": "i2",
    "current 3": "i3",
    "current 4": "i4",
}
"""Registers that are drawn, and their signs."""


def _register(name: str) -> str:
    return REGISTERS[name.split(" ", 1)[-1]]


def _bits(magnitude: float) -> float:
    return math.log2(1 + magnitude)


OTHER = "other kinds"
"""Kinds for which no colour is left."""

REST = "(at rest)"
"""The row of static power, which is of no layer."""


def kinds_of(cost: Cost) -> dict[str, float]:
    """Return the energy of each kind that has a colour, the dearest first [J]."""
    kinds = sorted(cost.kinds.items(), key=lambda item: (-item[1], item[0]))
    if len(kinds) <= len(SERIES):
        return dict(kinds)
    most = dict(kinds[: len(SERIES) - 1])
    return most | {OTHER: math.fsum(cost.kinds.values()) - math.fsum(most.values())}


def _energy(cost: Cost) -> Iterator[Picture]:
    rows = [(layer.layer, layer.kinds) for layer in cost.layers if layer.value][:ROWS]
    if cost.static is not None:
        rows.append((REST, {Event.STATIC.value: cost.static.value}))
    if not rows:
        return
    canvas = Canvas(ROW * len(rows), left=NAMES, bottom=22)
    axes = canvas.axes
    left = [0.0] * len(rows)
    coloured = kinds_of(cost)
    for kind, ink in zip(coloured, SERIES, strict=False):
        kept = [kind] if kind != OTHER else [k for k in cost.kinds if k not in coloured]
        part = [math.fsum(kinds.get(k, 0.0) for k in kept) for _, kinds in rows]
        axes.barh(range(len(rows)), part, 0.62, left, color=ink.value)
        left = [a + b for a, b in zip(left, part, strict=True)]
    _rows(canvas, [plain(name, 15) for name, _ in rows])
    axes.set_xlim(0, max(left) * 1.05 or 1)
    _ticks(axes, lambda value: si(value, "J", 2))
    most, name = max((math.fsum(kinds.values()), plain(name)) for name, kinds in rows)
    yield Picture(
        svg=embedded(
            canvas.svg(),
            key="energy",
            title="Energy of a sample by layer and kind",
            description=f"The most is {si(most, 'J')}, of {name}.",
        ),
        caption="",
    )


def _others(measured: Measured) -> Iterator[Picture]:
    """Yield energies at all prices, on one logarithmic axis."""
    found = [] if measured.cost is None else [_own(measured.cost)]
    rows = [other for other in (*found, *measured.others) if other.energy.value > 0][:ROWS]
    if len(rows) < 2:
        return
    canvas = Canvas((ROW + 4) * len(rows), left=NAMES + 56, bottom=22)
    axes = canvas.axes
    for place, other in enumerate(rows):
        energy = other.energy
        colour = (Ink.TWO if place or not found else Ink.ONE).value
        low, high = max(energy.low, energy.value * 1e-3), max(energy.high, energy.value)
        axes.plot([low, high], [place, place], color=colour, linewidth=7, alpha=0.4)
        axes.plot([energy.value], [place], "o", color=colour, markersize=7)
    axes.set_xscale("log")
    _rows(canvas, [other.short for other in rows])
    axes.margins(x=0.12)
    _ticks(axes, lambda value: si(value, "J", 1))
    yield Picture(
        svg=embedded(
            canvas.svg(),
            key="others",
            title="Energy of a sample at the prices of several chips",
            description="; ".join(f"{o.title}: {si(o.energy.value, 'J')}" for o in rows),
        ),
        caption="",
    )


def _own(cost: Cost) -> Other:
    return Other(
        short=cost.profile,
        title=cost.title,
        energy=cost.energy,
        sample=cost.sample,
        note="the target's own prices",
    )


def _chips(cores: Cores) -> Iterator[Picture]:
    """Yield the mesh of each chip: a square for each core, the darker the longer its step."""
    colour = layer_colours(cores)
    for chip in range(min(cores.chips, CHIPS)):
        cells = [cell for cell in cores.cells if cell.chip == chip]
        if cells:
            yield _chip(cores, chip, cells, colour)


def layer_colours(cores: Cores) -> dict[str, Ink]:
    """Return the colour of each population that has cores."""
    return {one.layer: SERIES[place % len(SERIES)] for place, one in enumerate(cores.layers)}


def _chip(cores: Cores, chip: int, cells: Sequence[Cell], colour: dict[str, Ink]) -> Picture:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - an extra

    columns, rows, per_router = cores.mesh
    side = math.ceil(math.sqrt(per_router))
    across = (380 - 20) / columns
    canvas = Canvas(across * rows, left=8, bottom=6)
    axes = canvas.axes
    axes.set_axis_off()
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    for x in range(columns):
        for y in range(rows):
            axes.add_patch(
                Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fill=False, edgecolor=Ink.LINE.value)
            )
    taken: dict[tuple[int, int], int] = {}
    size = 0.84 / side
    for cell in sorted(cells, key=lambda one: one.core):
        slot = taken.get((cell.x, cell.y), 0)
        taken[cell.x, cell.y] = slot + 1
        down, along = divmod(slot, side)
        corner = cell.x + 0.08 + along * size, cell.y + 0.08 + down * size
        ink = colour.get(cell.layers[0], Ink.FAINT) if cell.layers else Ink.FAINT
        load = 0.15 + 0.85 * cell.time / (cores.step or 1.0)
        axes.add_patch(
            Rectangle(corner, size * 0.9, size * 0.9, color=ink.value, alpha=load, linewidth=0)
        )
    slowest = max(cells, key=lambda cell: cell.time)
    return Picture(
        svg=embedded(
            canvas.svg(),
            key=f"chip{chip}",
            title=f"Cores of chip {chip}",
            description=f"{len(cells)} cores are used; the slowest is core {slowest.core} with "
            f"{si(slowest.time * 1e-9, 's')} a step.",
        ),
        caption=f"chip {chip}: {len(cells)} cores, {number(columns * rows)} routers",
    )
