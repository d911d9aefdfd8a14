"""Defaults of options: from the environment, then from a configuration file."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from cyclopts import CoercionError, Token

from snn_deploy.deploy.configuration import Configuration, found, read_configuration
from snn_deploy.errors import ConfigurationError
from snn_deploy.ir.words import nearest

PREFIX = "SNN_DEPLOY_"

NAMING = "SNN_DEPLOY_CONFIG"
"""Names the configuration file; empty: none is read."""

ENVIRONMENT = "environment"
"""The source of a value from there; that of one from a file is file and line."""

COMMON = ("config", "json")
"""Options of every command, which have no defaults elsewhere."""

PATHS = (
    *("arch", "calibrate", "data", "input", "journal", "labels", "model", "output", "path"),
    *("simulate", "test"),
)
"""Options that are paths; a file states them relative to its own folder."""

PERHAPS_PATHS = ("target", "profile")
"""Options that are names, or paths of TOML files."""

BETWEEN = {"sample_shape": "x"}
"""What stands between the values of a list; otherwise a comma."""

Known = Mapping[str, tuple[str, ...]]


class Defaults:
    """What cyclopts asks for the values of options that were not given."""

    def __init__(self, known: Callable[[], Known]) -> None:
        """`known` gives the options of every command; it is called if there is a file."""
        self._known = known

    def __call__(self, app: Any, commands: tuple[str, ...], arguments: Any) -> None:
        """Add what the environment and the file state to the `arguments` of a command."""
        options = options_of(arguments)
        if not options.keys() - set(COMMON):
            return
        given = options["config"].tokens if "config" in options else ()
        file = self.file(given[0].value if given else None)
        state(file, " ".join(commands), options)

    def file(self, named: str | None) -> Configuration | None:
        """Return the file that is named here or in the environment, or that is found.

        Raises:
            ConfigurationError: it cannot be read, or states what there is not.
        """
        named = os.environ.get(NAMING) if named is None else named
        path = found() if named is None else Path(named) if named else None
        if path is None:
            return None
        return read_configuration(path, self._known(), named=named is not None)


def check_whole(_app: Any, _commands: tuple[str, ...], arguments: Any) -> None:
    """Refuse fractions where a whole number is wanted, which cyclopts would round.

    Raises:
        CoercionError: one is given.
    """
    for argument in arguments:
        if int not in (argument.hint, *get_args(argument.hint)):
            continue
        for token in argument.tokens:
            if _is_fraction(token.value):
                raise CoercionError(token=token, argument=argument, target_type=int)


def _is_fraction(text: str) -> bool:
    try:
        return "." in text and not float(text).is_integer()
    except ValueError:
        return False


def state(file: Configuration | None, command: str, options: Mapping[str, Any]) -> None:
    """Give the options of a command that have no value those of the environment and of a file.

    Raises:
        ConfigurationError: a variable or a value is of no use for them.
    """
    _from_environment(command, options)
    if file is not None:
        _from_file(file, command, options)


def options_of(arguments: Any) -> dict[str, Any]:
    """Return the arguments of a command that are options, by their names in Python."""
    named = (a for a in arguments if a.field_info.is_keyword)
    return {a.names[0].lstrip("-").replace("-", "_"): a for a in named}


def variable(command: str, option: str) -> str:
    """Return the environment variable that has the default of an option."""
    return f"{PREFIX}{command}_{option}".upper().replace(" ", "_")


def _from_environment(command: str, options: Mapping[str, Any]) -> None:
    names = {variable(command, name): name for name in options if name not in COMMON}
    beginning = variable(command, "")
    for key in sorted(os.environ):
        if key in names:
            _give(options[names[key]], os.environ[key], keyword=key, source=ENVIRONMENT)
        elif key.startswith(beginning):
            wrong = key.removeprefix(beginning).lower()
            near = nearest(wrong, names.values())
            raise ConfigurationError(
                f"{command} has no option {wrong!r}",
                where=f"{key} in the environment",
                fix=f"{variable(command, near)}=..." if near else f"unset {key}",
            )


def _from_file(file: Configuration, command: str, options: Mapping[str, Any]) -> None:
    for name, stated in file.commands.get(command, {}).items():
        argument, place = options[name], file.place(stated)
        if isinstance(stated.value, bool) and not _takes_truth(argument):
            raise ConfigurationError(
                f"{name} = {str(stated.value).lower()}, but {name} is no switch",
                where=place,
                fix=f"leave {name} out",
            )
        value = written(name, stated.value)
        if isinstance(value, str) and _is_path(command, name, value):
            value = str(file.path.parent / value)
        _give(argument, value, keyword=name, source=place)


def written(name: str, value: Any) -> Any:
    """Return a value of TOML as it is typed on a command line, where it can be."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        pairs = {str(key): written(name, part) for key, part in value.items()}
        if any("," in key for key in pairs):
            return pairs
        return ",".join(f"{key}={part}" for key, part in pairs.items())
    if isinstance(value, list):
        return BETWEEN.get(name, ",").join(map(str, value))
    return str(value)


def _is_path(command: str, name: str, value: str) -> bool:
    if (command, name) == ("evaluate", "output"):  # an output of the network
        return False
    return name in PATHS or (name in PERHAPS_PATHS and value.endswith(".toml"))


def _takes_truth(argument: Any) -> bool:
    return bool in (argument.hint, *get_args(argument.hint))


def _give(argument: Any, value: Any, *, keyword: str, source: str) -> None:
    """Give an argument a value, unless it has one."""
    if argument.tokens:
        return
    if isinstance(value, str) and _takes_truth(argument):
        value = {"true": True, "false": False}.get(value.lower(), value)
    if isinstance(value, str):
        argument.append(Token(keyword=keyword, value=value, source=source))
    else:
        argument.append(Token(keyword=keyword, implicit_value=value, source=source))
