"""The Lava backend: a program as Lava processes, run in an environment of its own.

lava-nc 0.10.0, the last release, wants Python 3.10 and numpy below 2. So it never enters this
environment: `emit` gives a runner that needs only numpy and lava-nc, `run` starts it in a child.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from snn_deploy.backends.lava.child import run_child
from snn_deploy.backends.lava.environment import find_environment, required_environment
from snn_deploy.backends.lava.exchange import pack_inputs, read_trace
from snn_deploy.backends.lava.planner import by_row, make_plan, without_delay
from snn_deploy.backends.protocol import Progress, padded, silent
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Program
from snn_deploy.ir.store import dump_program
from snn_deploy.ir.trace import Recording, Trace, Values
from snn_deploy.targets import Target

__all__ = ["LavaBackend", "find_environment", "make_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LavaBackend:
    """Runs programs in Lava, or writes them down for it."""

    python: Path | None = None
    """Python of the Lava environment; None: the one that `find_environment` finds."""

    time_limit: float = 600.0
    """Lava is stopped after this time [s]."""

    name: str = "lava"

    def emit(self, program: Program, target: Target) -> Mapping[str, bytes]:
        """Return `run_lava.py`, its modules and `lava_plan.json`.

        They read `program.json` and `program.npz` beside them. A program that cannot run in Lava,
        because a projection has no delay, gets none; `supports` says so.
        """
        if by_row(program) or without_delay(program):
            return {}
        return {**_runner(), "lava_plan.json": make_plan(program).dump()}

    def supports(self, program: Program, target: Target) -> Sequence[Finding]:
        """Return what runs in Lava's simulator only, or not even there, with the reason."""
        if by_row(program):
            reason = "each source neuron enters a state on its own, and Lava's channels carry sums"
            return (_impossible(program.name, reason),)
        instant = without_delay(program)
        if instant:
            reason = "it has no delay, and in Lava each projection takes a step"
            return tuple(_impossible(name, reason) for name in instant)
        return make_plan(program).findings()

    def run(
        self,
        program: Program,
        inputs: Sequence[Values],
        record: Recording,
        progress: Progress = silent,
    ) -> Trace:
        """Run `program` in Lava; see `Backend.run`.

        Progress is counted in samples. A sum for a sigma or delta neuron whose sources send 32 bits
        too wraps modulo 2**32 in Lava's connection, before the neuron can count it. The states are
        those of the program; how often such neurons overflow is counted otherwise.

        Raises:
            LavaMissingError: there is no Lava environment.
            LavaTimeoutError: Lava did not end within `time_limit`.
            LavaFailedError: Lava ended with an error.
            UnsupportedError: a projection has no delay.
            InputRangeError: a value lies outside what the program declares.
            DataError: an input is missing, or has a wrong shape or dtype.
        """
        given = padded(program, inputs)
        files = {**_runner(), "lava_plan.json": make_plan(program).dump()}
        python = required_environment(self.python)
        stored = dump_program(program)
        files |= {"program.json": stored.json, "program.npz": stored.npz}
        files["input.npz"] = pack_inputs(program, given)
        with tempfile.TemporaryDirectory(prefix="snn-deploy-lava-") as name:
            folder = Path(name)
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            run_child(
                [python, "run_lava.py", *_arguments(record)],
                folder=folder,
                time_limit=self.time_limit,
                late="--time-limit SECONDS, or fewer samples or steps",
                line=_Reporter(progress),
                variables={"TMPDIR": name},  # what it leaves behind goes with the folder
            )
            return read_trace(program, record, folder / "trace.npz", _steps(given))


def _impossible(layer: str, reason: str) -> Finding:
    return Finding(kind=Kind.SIMULATED, layer=layer, amount="does not run in Lava", reason=reason)


def _arguments(record: Recording) -> list[str]:
    states = "none"
    if record.states:
        states = "spikes" if record.states == {State.PAYLOAD} else "states"
    return ["--input", "input.npz", "--output", "trace.npz", "--record", states]


def _steps(given: Sequence[Values]) -> int:
    return int(given[0].values.shape[1])


@dataclass(frozen=True, slots=True)
class _Reporter:
    """Turns the runner's `progress DONE ALL` lines into calls."""

    progress: Progress

    def __call__(self, line: str) -> bool:
        match line.split():
            case ["progress", done, total] if done.isdigit() and total.isdigit():
                self.progress(int(done), int(total))
                return True
        return False


def _runner() -> dict[str, bytes]:
    """Return the constant files of the runner, by relative path."""
    found: dict[str, bytes] = {}

    def walk(folder: resources.abc.Traversable, prefix: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda e: e.name):
            if entry.is_dir() and entry.name != "__pycache__":
                walk(entry, f"{prefix}{entry.name}/")
            elif entry.name.endswith(".py"):
                found[prefix + entry.name] = entry.read_bytes()

    walk(resources.files(__name__) / "runner", "")
    return found
