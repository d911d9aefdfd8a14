"""Makes a matplotlib SVG fit for a page: no style, date or address in it, colours of the page.

What is drawn in one of the colours of `Ink` takes the page's colour of that name, so a picture is
light or dark as the page is. Styles become attributes: a page that forbids styles shows them.
"""

import re
from enum import Enum
from html import escape
from xml.etree import ElementTree

SPACE = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"


class Ink(Enum):
    """A colour of the page, as matplotlib is told it."""

    TEXT = "#00f001"
    FAINT = "#00f002"
    LINE = "#00f003"
    ONE = "#00f011"
    TWO = "#00f012"
    THREE = "#00f013"
    FOUR = "#00f014"
    FIVE = "#00f015"
    SIX = "#00f016"
    SEVEN = "#00f017"
    EIGHT = "#00f018"


SERIES = (Ink.ONE, Ink.TWO, Ink.THREE, Ink.FOUR, Ink.FIVE, Ink.SIX, Ink.SEVEN, Ink.EIGHT)
"""Colours that tell things apart, in this order."""

COLOURS = {ink.value: f"var(--{ink.name.lower()})" for ink in Ink} | {
    Ink.TEXT.value: "currentColor"
}

DROPPED = {"metadata", "style"}
KEPT_STYLES = {
    *("fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray"),
    *("opacity", "text-anchor", "stroke-linecap", "stroke-linejoin"),
}
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
SIZE = re.compile(r"([\d.]+)px")


def embedded(drawn: str, *, key: str, title: str, description: str) -> str:
    """Return the SVG element of a matplotlib picture, to be put into a page.

    Args:
        drawn: The file that matplotlib wrote.
        key: Name that no other picture of the page has, of letters, digits and hyphens.
        title: What it shows, in a few words.
        description: What is to be seen in it, for those who do not see it.
    """
    root = ElementTree.fromstring(drawn)  # noqa: S314 - matplotlib wrote it a moment ago
    used = set(re.findall(r"(?:url\(#|href=\")#?([^\")]+)", drawn))
    width, height = root.get("viewBox", "0 0 0 0").split()[2:]
    body = "".join(_element(child, key, used) for child in root)
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(title)}</title><desc>{escape(description)}</desc>{body}</svg>'
    )


def _element(element: ElementTree.Element, key: str, used: set[str]) -> str:
    name = element.tag.removeprefix(SPACE)
    if name in DROPPED:
        return ""
    attributes = _attributes(element, key, used)
    inside = "".join(_element(child, key, used) for child in element)
    text = escape((element.text or "").strip() if name != "text" else element.text or "")
    if name in ("g", "defs") and not inside and not text:
        return ""
    if name == "g" and not attributes:
        return inside
    given = "".join(f' {k}="{escape(v)}"' for k, v in attributes.items())
    return f"<{name}{given}>{text}{inside}</{name}>" if inside or text else f"<{name}{given}/>"


def _attributes(element: ElementTree.Element, key: str, used: set[str]) -> dict[str, str]:
    """Return the attributes of an element: styles among them, names made its own."""
    found: dict[str, str] = {}
    for name, value in element.items():
        if name == "style":
            found |= _style(value)
        elif name == "id":
            if value in used:
                found["id"] = f"{key}-{value}"
        elif name == HREF:
            found["href"] = f"#{key}-{value.removeprefix('#')}"
        elif name == "clip-path":
            found[name] = value.replace("url(#", f"url(#{key}-")
        else:
            found[name] = NUMBER.sub(_short, value).replace("\n", "").strip()
    return found


def _style(style: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in style.split(";"):
        name, _, value = part.partition(":")
        name, value = name.strip(), value.strip()
        if name in KEPT_STYLES:
            found[name] = COLOURS.get(value, NUMBER.sub(_finer, value))
        elif name in ("font", "font-size"):
            size = SIZE.search(value)
            found["font-size"] = size[1] if size else "10"
    return found


def _short(number: re.Match[str]) -> str:
    """Return a number in tenths of a pixel."""
    short = f"{float(number[0]):.1f}".removesuffix(".0")
    return "0" if short == "-0" else short


def _finer(number: re.Match[str]) -> str:
    """Return a number in hundredths, such as an opacity."""
    return f"{float(number[0]):.2f}".rstrip("0").removesuffix(".")
