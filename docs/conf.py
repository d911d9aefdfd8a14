"""How the documents become pages: `make docs` writes build/docs; warnings are errors."""

import io
import re
import sys
from pathlib import Path

from docutils import nodes
from rich.console import Console
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[1]))

from snn_deploy.deploy.commands import EPILOGUE, FUNCTIONS, build
from snn_deploy.deploy.version import version as installed

project = "snn-deploy"
author = "the snn-deploy developers"
release = installed()
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"snn-deploy {release}"
exclude_patterns = ["design/README.md"]
smartquotes = False  # `--option` stays as it is typed
default_role = "code"
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures of commands are long; arguments are described below them
napoleon_use_ivar = True


SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:")


def as_restructured(_app, what, _name, _object, _options, lines):
    """Turn a docstring, which is plain text, into what autodoc reads.

    Indented lines outside of a section are shown as they are; signs that restructured text has a
    use for are escaped.
    """
    made, section, literal = [], False, False
    for line in lines:
        section = section or line in SECTIONS
        indented = line.startswith("    ") or line.startswith("$ ")
        if indented and not section and not literal:
            made += ["::", ""]
        literal = not section and (indented or (literal and not line))
        if line.startswith("$ "):
            made.append("    " + line)
        else:
            made.append(line if literal else escaped(line))
    lines[:] = made


def escaped(line):
    """Return a line whose * | _ outside of quotes stand for themselves."""
    parts = line.split("`")
    parts[::2] = [re.sub(r"([*|]|_\b)", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


class Commands(SphinxDirective):
    """The help of every command, as it is printed."""

    def run(self):
        """Return a section for each command."""
        app, made = build(), []
        for name in (*FUNCTIONS, "config show"):
            section = nodes.section(ids=[nodes.make_id(f"command-{name}")])
            section += nodes.title(text=f"snn-deploy {name}")
            console = Console(width=WIDTH, no_color=True, file=io.StringIO())
            app.help_print(name.split(), console=console)
            text = console.file.getvalue().split(EPILOGUE)[0].strip()
            section += nodes.literal_block(text, text, language="text")
            made.append(section)
        return made


WIDTH = 92
"""Columns of a page."""


def setup(app):
    """Connect the above; docstrings before Google's sections are read."""
    app.add_directive("commands", Commands)
    app.connect("autodoc-process-docstring", as_restructured, priority=100)
