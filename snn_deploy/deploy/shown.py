"""How results show themselves in a notebook: as their commands print them."""

from html import escape
from typing import Any


class Shown:
    """A result whose text stands where IPython would print the names and values of its fields."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the text, for IPython, which asks for it by this name.

        `_repr_pretty_` would not do: IPython prefers the `__repr__` of a dataclass to what its
        bases say (IPython.lib.pretty, `RepresentationPrinter.pretty`).
        """
        return {"text/plain": str(self)}


class ShownTable(Shown):
    """A result whose text has columns, so that a page must not break its lines."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Return the text for a page, to be scrolled where it is wider."""
        style = "white-space: pre; overflow-x: auto"
        return f'<pre style="{style}">{escape(str(self))}</pre>'
