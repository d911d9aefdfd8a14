"""The whole way from a network to the program of one target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snn_deploy.ir.arithmetic import Order
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.network import Network
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Values
from snn_deploy.quantize.biases import LowerBiases
from snn_deploy.quantize.features import CheckFeatures
from snn_deploy.quantize.fold import FoldMaps
from snn_deploy.quantize.layers import CheckLayers, FitLayers, ShareExponents
from snn_deploy.quantize.normalize import FoldGains, MoveResetToZero, ReadNewCurrent
from snn_deploy.quantize.options import Options
from snn_deploy.quantize.passes import Pass, Pipeline
from snn_deploy.quantize.phases import CheckPhases
from snn_deploy.quantize.ranges import CheckRanges
from snn_deploy.quantize.relays import AddRelays
from snn_deploy.quantize.report import LayerReport
from snn_deploy.quantize.retime import Retime
from snn_deploy.quantize.suit import CompareAsChip, ScaleArrivals
from snn_deploy.quantize.to_program import ToIntegers
from snn_deploy.targets import Basic, Feature, Support, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A program, and what should be known about how it was made."""

    program: Program
    findings: tuple[Finding, ...]
    pipeline: str
    """The passes, one per line, with all that they decide."""

    layers: tuple[LayerReport, ...]


def compile_network(
    network: Network,
    target: Target,
    *,
    encoding: Encoding | None = None,
    calibration: Sequence[Values] | None = None,
    options: Options | None = None,
) -> Compiled:
    """Return the integer program of `network` for `target`.

    Args:
        network: What was trained.
        target: The chip.
        encoding: Range and unit of the input payloads.
        calibration: Real-valued inputs [sample, step, *shape], one per input; with them the
            scales are chosen by what they do to spikes.
        options: Weight bits, search and proof.

    Raises:
        OptionError: an option that the target does not have.
        UnsupportedError: the target lacks a feature that the network needs.
        DoesNotFitError: a number lies outside what the target stores.
        LoopTooShortError: a loop has less delay than the target needs.
        DataError: the calibration data does not fit the network.
    """
    pipeline = pipeline_for(
        target,
        encoding=encoding or Encoding(),
        calibration=calibration,
        options=(options or Options()).checked(target),
    )
    done = pipeline(network)
    return Compiled(
        program=done.graph, findings=done.findings, pipeline=str(pipeline), layers=done.layers
    )


def check_program(program: Program, target: Target) -> tuple[Finding, ...]:
    """Return what should be known about a program that was made elsewhere for `target`.

    Raises:
        UnsupportedError: the target lacks a feature that the program needs.
        DoesNotFitError: a number lies outside what the target stores.
    """
    checks: Pipeline = Pipeline((CheckFeatures(target=target), CheckRanges(target=target)))
    return checks(program).findings


def pipeline_for(
    target: Target,
    *,
    encoding: Encoding,
    calibration: Sequence[Values] | None,
    options: Options,
) -> Pipeline:
    """Return the passes from a network to a program for `target`.

    What a target has natively is left as trained: a reset value stays, an old current stays.
    """
    passes: list[Pass[Any, Any]] = [FoldMaps(), *_suiting(target), FoldGains()]
    if target.support(Feature.RESET_VALUE) is not Support.NATIVE:
        passes.append(MoveResetToZero())
    if target.support(Feature.OLD_CURRENT) is not Support.NATIVE:
        passes.append(ReadNewCurrent())
    passes += [
        ToIntegers(
            target=target,
            encoding=encoding,
            options=options,
            calibration=None if calibration is None else tuple(calibration),
        ),
        *([ShareExponents(target=target)] if target.layers is not None else []),
        Retime(target=target, dilation=options.dilation),
        LowerBiases(target=target),
        AddRelays(target=target),
        *(() if options.dilation == 1 else (CheckPhases(target=target),)),
        CheckFeatures(target=target),
        *([CheckLayers(target=target)] if target.layers is not None else []),
        CheckRanges(target=target, steps=encoding.steps),
    ]
    return Pipeline(tuple(passes))


def _suiting(target: Target) -> list[Pass[Any, Any]]:
    """Return the passes for neurons that are others than nearly every chip's."""
    passes: list[Pass[Any, Any]] = []
    if target.layers is not None:
        passes.append(FitLayers(target=target))
    if not target.has(Basic.GREATER):
        passes.append(CompareAsChip(target=target))
    if target.arithmetic.order is Order.ADD_FIRST:
        passes.append(ScaleArrivals(target=target))
    return passes
