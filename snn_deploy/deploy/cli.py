"""The command line: each command is a function of the API; this file prints what it returns."""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from cyclopts import CycloptsError

from snn_deploy.deploy.commands import build
from snn_deploy.deploy.memory import ADVICE, memory_short
from snn_deploy.deploy.progress import bar, waiting, wanted
from snn_deploy.deploy.screen import fitted
from snn_deploy.errors import DeployError, UsageError
from snn_deploy.ir.room import begin
from snn_deploy.ir.telling import counting, telling
from snn_deploy.ir.words import escaped, visible

OK, ERROR, USAGE, DIFFERENT, BUG = 0, 1, 2, 3, 70
"""Exit statuses; INTERRUPTED is the shell's own for Ctrl-C."""

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _interrupt(*_: object) -> None:
    """End the processes that work for us, then this one; a further Ctrl-C changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.terminate()
    raise KeyboardInterrupt


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - a return for each way to end
    """Run one command; return its exit status."""
    as_json = "--json" in arguments
    words = [word for word in arguments if word != "--json"]  # it may stand anywhere
    wanted.set(not as_json)
    telling.set(waiting)
    counting.set(bar)
    name = ""
    try:
        command, bound, _ = build().parse_args(words, print_error=False, exit_on_error=False)
        name = getattr(command, "__name__", "")
        if name in ADVICE:
            begin()
        result = command(*bound.args, **bound.kwargs)
        if result is not None:
            show(result, as_json=as_json)
        return DIFFERENT if _differs(result) else OK
    except CycloptsError as problem:
        complain(_misused(problem), as_json=as_json)
        return USAGE
    except DeployError as problem:
        complain(problem, as_json=as_json)
        return problem.exit_status
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        print("interrupted; nothing is left half written", file=sys.stderr)
        return INTERRUPTED
    except Exception as problem:
        if short := memory_short(problem, ADVICE.get(name, "")):
            complain(short, as_json=as_json)
            return short.exit_status
        # whatever else is our bug, and says so
        traceback.print_exc()
        print("this is a bug in snn-deploy: please report it with the lines above", file=sys.stderr)
        return BUG


def _misused(problem: CycloptsError) -> UsageError:
    """Return what the parser complains of as an error of ours."""
    problem.verbose = False
    words = ("snn-deploy", *(problem.command_chain or ()), "--help")
    return UsageError(str(problem), fix=" ".join(words))


def _differs(result: Any) -> bool:
    """Return whether outputs differ that should be equal, or by more than the user accepts."""
    return any(getattr(result, name, True) is False for name in ("equal", "passed"))


def show(result: Any, *, as_json: bool) -> None:
    """Print what a command returned, on standard output."""
    from snn_deploy.deploy.printing import as_record, printable  # noqa: PLC0415 - on demand

    text = escaped(as_record(result)) if as_json else visible(printable(result))
    if not as_json and sys.stdout.isatty():
        text = fitted(text, columns())
    print(text, flush=True)


def complain(problem: DeployError, *, as_json: bool) -> None:
    """Print an error, on standard error."""
    if not as_json:
        tell(visible(str(problem)))
        return
    record = {
        "error": problem.code,
        "message": problem.message,
        "where": problem.where,
        "fix": problem.fix,
    }
    print(json.dumps(record, indent=2), file=sys.stderr)


def tell(text: str) -> None:
    """Print an error; on a terminal it fits, and its number stands out."""
    if not sys.stderr.isatty():
        print(text, file=sys.stderr)
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.text import Text  # noqa: PLC0415 - the same

    shown = Text(fitted(text, columns()))
    shown.highlight_regex(r"^error\[SNN\d+\]", "bold red")
    Console(stderr=True, soft_wrap=True).print(shown)


def columns() -> int:
    """Return how many columns the terminal has."""
    return shutil.get_terminal_size().columns
