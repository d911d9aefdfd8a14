"""The netx backend: a sequential program as the `.net` file that lava-dl loads.

lava-dl runs on Python 3.10 only, and nothing here needs it: the file is plain HDF5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snn_deploy.backends.protocol import Progress, silent
from snn_deploy.errors import BackendError, QuantizeError
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Recording, Trace, Values
from snn_deploy.targets import Target

FILE = "network.net"
"""Name of the file that lava-dl's own exports have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetxBackend:
    """Writes programs for lava-dl's netx."""

    name: str = "netx"

    def emit(self, program: Program, target: Target) -> Mapping[str, bytes]:
        """Return the `.net` file of a sequential program; see `write_net`.

        Raises:
            UnsupportedError: the program is no chain of layers, or has a feature that netx lacks.
            DoesNotFitError: a number that a file does not hold, or that netx would change.
        """
        from snn_deploy.backends.netx.writer import write_net  # noqa: PLC0415 - h5py on demand

        return {FILE: write_net(program).content}

    def supports(self, program: Program, target: Target) -> Sequence[Finding]:
        """Return what does not run natively on the chip, or why there is no file at all."""
        from snn_deploy.backends.netx.writer import write_net  # noqa: PLC0415 - h5py on demand

        try:
            return write_net(program).findings
        except QuantizeError as problem:
            reason = f"{problem.message}; {problem.fix}"
            return (
                Finding(
                    kind=Kind.SIMULATED,
                    layer=problem.where,
                    amount="has no .net file",
                    reason=reason,
                ),
            )

    def run(
        self,
        program: Program,
        inputs: Sequence[Values],
        record: Recording,
        progress: Progress = silent,
    ) -> Trace:
        """Refuse: it writes files.

        Raises:
            BackendError: always.
        """
        raise BackendError(
            "netx writes files for lava-dl, and runs nothing here",
            where=program.name,
            fix="--backend event, reference or lava; or load the file with lava-dl",
        )
