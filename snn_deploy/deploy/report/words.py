"""How a report writes names and numbers; names come from a model file, and none is trusted."""

import math

from snn_deploy.ir.words import unseen

NONE = "\N{EN DASH}"
"""For what is not there."""

TIMES = " \N{MULTIPLICATION SIGN} "

LONGEST = 80
"""Characters of a name that are shown."""

LONGEST_TEXT = 600
"""Characters of a sentence that are shown."""


def plain(text: str, longest: int = LONGEST) -> str:
    """Return a text in one line, without unseen characters, its middle left out if it is long."""
    cut = text if len(text) <= longest else f"{text[: longest // 2]}…{text[-(longest // 2) + 1 :]}"
    return "".join("\N{REPLACEMENT CHARACTER}" if unseen(c) else c for c in cut)


PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def si(number: float, unit: str = "", digits: int = 3) -> str:
    """Return a number with three digits and an SI prefix, such as `3.20 µJ`."""
    if not number:
        return "0"
    if not math.isfinite(number):
        return f"{number:g}"
    rounded = float(f"{number:.{digits - 1}e}")
    size = math.floor(math.log10(abs(rounded)) + 1e-9)
    power = min(max(size // 3 * 3, -15), 12)
    places = max(0, digits - 1 - (size - power))
    return f"{rounded / 10.0**power:.{places}f} {PREFIXES[power]}{unit}".rstrip()


def number(value: float) -> str:
    """Return a count with commas, or a small number with three digits."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


def share(value: float | None) -> str:
    """Return a share in per cent; a dash where there is none."""
    if value is None:
        return NONE
    return f"{100 * value:.2f} %" if value < 0.1 or 0.99 < value < 1 else f"{100 * value:.1f} %"


def option(value: object) -> str:
    """Return the value of an option; of a file name and digest."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {option(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(option, value))
    return str(value)
