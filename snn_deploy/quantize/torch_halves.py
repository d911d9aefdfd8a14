"""The way to integers in two halves: before the chip's delays, where a network can be trained as
integers, and after."""

from collections.abc import Sequence
from dataclasses import dataclass

from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.network import Network
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Values
from snn_deploy.quantize.options import Options
from snn_deploy.quantize.passes import Pipeline
from snn_deploy.quantize.pipeline import Compiled, pipeline_for
from snn_deploy.quantize.report import LayerReport
from snn_deploy.quantize.to_program import ToIntegers
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """A network that has become integers and does not have the chip's delays yet.

    In this form a bias is one number and every spike comes in the step in which the network as
    trained has it.
    """

    network: Network
    """The real-valued network as it was rounded: without compositions of maps and gains."""

    program: Program
    """Its whole numbers; all lags are 0."""

    findings: tuple[Finding, ...]
    """What both of them lost."""

    layers: tuple[LayerReport, ...]
    target: Target
    options: Options
    passes: Pipeline
    """The whole way."""

    rest: Pipeline
    """From `program` to the chip: delays, clock neurons, checks."""

    def finished(self, program: Program, findings: Sequence[Finding] = ()) -> Compiled:
        """Return `program`, which has other numbers than `self.program`, with the chip's delays.

        Args:
            program: Of the same populations and projections.
            findings: What happened to it since.

        Raises:
            QuantizeError: the chip cannot hold it.
        """
        done = self.rest(program)
        return Compiled(
            program=done.graph,
            findings=(*self.findings, *findings, *done.findings),
            pipeline=str(self.passes),
            layers=self.layers,
        )


def halves(
    network: Network,
    target: Target,
    *,
    encoding: Encoding | None = None,
    calibration: Sequence[Values] | None = None,
    options: Options | None = None,
) -> Halves:
    """Return `network` as integers for `target`, before the chip's delays.

    The arguments and errors are those of `compile_network`.
    """
    chosen = (options or Options()).checked(target)
    pipeline = pipeline_for(
        target, encoding=encoding or Encoding(), calibration=calibration, options=chosen
    )
    split = next(n for n, step in enumerate(pipeline) if isinstance(step, ToIntegers))
    before = Pipeline(pipeline.passes[:split])(network)
    rounded = pipeline.passes[split](before.graph)
    return Halves(
        network=before.graph,
        program=rounded.graph,
        findings=(*before.findings, *rounded.findings),
        layers=(*before.layers, *rounded.layers),
        target=target,
        options=chosen,
        passes=pipeline,
        rest=Pipeline(pipeline.passes[split + 1 :]),
    )
