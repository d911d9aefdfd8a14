"""The parser of the command line: each command is a function of the API."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from snn_deploy.deploy import api
from snn_deploy.deploy.defaults import (
    COMMON,
    ENVIRONMENT,
    Defaults,
    Known,
    check_whole,
    options_of,
    state,
    variable,
)
from snn_deploy.deploy.help_text import unwrapped
from snn_deploy.deploy.settings import Origin, Setting, Settings
from snn_deploy.errors import UnknownNameError
from snn_deploy.ir.words import meant

HELP = """From a trained spiking neural network to a neuromorphic chip, bit for bit.

$ snn-deploy export model.pt --target loihi2
$ snn-deploy verify model-loihi2 --input digits.npz
$ snn-deploy estimate model-loihi2 --input digits.npz"""

EPILOGUE = "Exit status: 0 done, 1 error, 2 wrong usage, 3 outputs differ, 70 a bug of ours."

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "export": api.export,
    "inspect": api.inspect,
    "nir": api.nir,
    "netx": api.netx,
    "simulate": api.simulate,
    "verify": api.verify,
    "evaluate": api.evaluate,
    "estimate": api.estimate,
    "report": api.report,
    "tune": api.tune,
    "diff": api.diff,
    "doctor": api.doctor,
    "explain": api.explain,
    "targets": api.show_targets,
    "lava setup": api.lava_setup,
}
"""By command; in the order of the help."""

GROUPS = {"lava": "The Python 3.10 environment of the Lava backend."}

EVERYWHERE = Group("Every command", sort_key=1)

Config = Annotated[
    Path | None,
    Parameter(
        group=EVERYWHERE,
        help="File (TOML) with options of commands; by default snn-deploy.toml of the project.",
    ),
]
Json = Annotated[bool, Parameter(group=EVERYWHERE, help="Print one JSON object.")]


def build() -> App:
    """Return the command line's parser."""
    defaults = Defaults(lambda: known(app))
    app = App(
        name="snn-deploy",
        help=HELP,
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        version=_version,
        default_parameter=Parameter(negative=(), show_default=_shown_default),
        config=(defaults, check_whole),
    )
    for place, (words, function) in enumerate(FUNCTIONS.items()):
        group, _, name = words.rpartition(" ")
        if group and group not in app:
            app.command(App(name=group, help=GROUPS[group], sort_key=place))
        above = app[group] if group else app
        above.command(_command(function), name=name, sort_key=place)
    config = App(
        name="config", help="What options are when they are not given.", sort_key=len(FUNCTIONS)
    )
    config.command(_command(_show(app, defaults), reads_file=True), name="show")
    app.command(config)
    app.register_install_completion_command(add_to_startup=False)
    return app


def _command(function: Callable[..., Any], *, reads_file: bool = False) -> Callable[..., Any]:
    """Return `function` with the options of every command, which the parser itself reads.

    Its return annotation is left out, whose type is only there for checkers.

    Args:
        function: Of the API.
        reads_file: It takes the name of the configuration file itself.
    """

    @functools.wraps(function)
    def command(
        *positional: Any, config: Path | None = None, json: bool = False, **named: Any
    ) -> Any:
        own = {"config": config} if reads_file else {}
        return function(*positional, **named, **own)

    parameters = dict(inspect.signature(function).parameters)
    for name, hint, default in (("config", Config, None), ("json", Json, False)):
        parameters[name] = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default
        )
    vars(command)["__signature__"] = inspect.Signature(list(parameters.values()))
    command.__doc__ = unwrapped(inspect.getdoc(function) or "")
    command.__annotations__ = {name: p.annotation for name, p in parameters.items()}
    return command


def _shown_default(value: Any) -> str | None:
    """Return a default as the help shows it; None: it says nothing."""
    return None if value is None or value is False else _typed(value)


def _version() -> str:
    from snn_deploy.deploy.version import version  # noqa: PLC0415 - only when asked for

    return version()


def known(app: App) -> Known:
    """Return the options of every command that may have defaults elsewhere."""
    return {words: tuple(_options(app, words)) for words in FUNCTIONS}


def _options(app: App, words: str) -> dict[str, Any]:
    """Return the options of a command, but for those of every command."""
    for word in words.split():
        app = app[word]
    options = options_of(app.assemble_argument_collection())
    return {name: option for name, option in options.items() if name not in COMMON}


def _show(app: App, defaults: Defaults) -> Callable[..., Settings]:
    """Return the command `config show`."""

    def show(
        *command: str,
        every: Annotated[bool, Parameter(name="--all")] = False,
        config: Path | None = None,
    ) -> Settings:
        """Show what options are when they are not given, and where that comes from.

        $ snn-deploy config show
        $ snn-deploy config show export
        $ SNN_DEPLOY_EXPORT_TARGET=loihi1 snn-deploy config show export

        The command line comes first, then the environment, then the configuration file.

        Args:
            command: Command whose options are shown; by default all commands.
            every: Show the options at their defaults, too; those of one command always are.
            config: File to read in place of the project's.

        Returns:
            The table.
        """
        words = " ".join(command)
        if words and words not in FUNCTIONS:
            there = [name for name in FUNCTIONS if _options(app, name)]
            raise UnknownNameError(f"no command is called {words!r}", fix=meant(words, there))
        file = defaults.file(None if config is None else str(config))
        settings: list[Setting] = []
        for name in (words,) if words else FUNCTIONS:
            options = _options(app, name)
            state(file, name, options)
            settings += [_setting(name, key, option) for key, option in options.items()]
        return Settings(
            file="" if file is None else str(file.path),
            settings=tuple(settings),
            every=every or bool(words),
        )

    return show


def _setting(command: str, name: str, option: Any) -> Setting:
    """Return the value of an option, whose type is checked."""
    token = next(iter(option.tokens), None)
    if token is None:
        default = option.field_info.default
        value = "required" if option.required else "" if default is None else _typed(default)
        origin, place = Origin.DEFAULT, ""
    else:
        option.convert()
        value = token.value or _typed(token.implicit_value)
        outside = token.source == ENVIRONMENT
        origin = Origin.ENVIRONMENT if outside else Origin.FILE
        place = token.keyword if outside else token.source
    return Setting(
        command=command,
        option=option.names[0],
        value=value,
        origin=origin,
        place=place,
        variable=variable(command, name),
    )


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
