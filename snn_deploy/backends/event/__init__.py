"""The fast simulator: event-driven, compiled, equal to the reference in every state."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from snn_deploy.backends.event.choices import Choices
from snn_deploy.backends.protocol import Progress, checked, silent
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Recording, Trace, Values
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True)
class EventBackend:
    """The event-driven simulator of programs."""

    name: str = "event"
    threads: int | None = None
    """Samples run on this many threads; None: one for each processor. The result does not
    depend on it."""

    choices: Choices = field(default_factory=Choices)
    """How programs are run; the result does not depend on it."""

    def emit(self, program: Program, target: Target) -> Mapping[str, bytes]:
        """Return nothing: it runs the program itself."""
        return {}

    def supports(self, program: Program, target: Target) -> Sequence[Finding]:
        """Return nothing: it runs every program."""
        return ()

    def run(
        self,
        program: Program,
        inputs: Sequence[Values],
        record: Recording,
        progress: Progress = silent,
    ) -> Trace:
        """Run `program`; see `Backend.run`. Progress counts samples."""
        from snn_deploy.backends.event.run import run_program  # noqa: PLC0415 - loads numba

        threads = self.threads or os.cpu_count() or 1
        given = checked(program, inputs)
        return run_program(program, given, record, progress, threads=threads, choices=self.choices)
