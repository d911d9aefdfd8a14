"""`snn-deploy config show`: every option with its value, and where that comes from."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.words import counted


class Origin(StrEnum):
    """Where the value of an option comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The value that an option has when it is not given."""

    command: str
    option: str
    """As typed, such as `--max-drop`."""

    value: str
    """As typed; empty: none, and the command's help says what is done then."""

    origin: Origin
    place: str
    """File and line, or the environment variable; empty for a default."""

    variable: str
    """The environment variable that states it."""

    @property
    def source(self) -> str:
        """Where the value comes from, in a word: of a file its name and the line."""
        return Path(self.place).name or self.origin.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ShownTable):
    """The result of `config show`."""

    file: str
    """The file that is read; empty: there is none."""

    settings: tuple[Setting, ...]
    every: bool
    """Whether the text has the options that are at their defaults, too."""

    def __str__(self) -> str:
        shown = [s for s in self.settings if self.every or s.origin is not Origin.DEFAULT]
        rows = [("command", "option", "value", "from")]
        rows += [
            (s.command, s.option, s.value or "-", Path(s.place).name or s.origin) for s in shown
        ]
        lines = [f"file: {self.file or 'none; docs/configuration.md says what one may hold'}"]
        if shown:
            lines += ["", aligned(rows)]
        left = len(self.settings) - len(shown)
        if left:
            lines += ["", f"{counted(left, 'option')} at their defaults: add a command, or --all"]
        return "\n".join(lines)
