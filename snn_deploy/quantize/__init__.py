"""From a real-valued network to integers for one target: scale, round, retime, prove ranges."""

from snn_deploy.quantize.options import Objective, Options, Preset, Rounding
from snn_deploy.quantize.passes import Pass, Passed, Pipeline
from snn_deploy.quantize.pipeline import Compiled, check_program, compile_network, pipeline_for
from snn_deploy.quantize.report import LayerReport, ProjectionReport

__all__ = [
    "Compiled",
    "LayerReport",
    "Objective",
    "Options",
    "Pass",
    "Passed",
    "Pipeline",
    "Preset",
    "ProjectionReport",
    "Rounding",
    "check_program",
    "compile_network",
    "pipeline_for",
]
