"""From a real-valued network to integers for one target: scale, round, retime, prove ranges."""

from snn_deploy.quantize.options import Objective, Options, Preset, Rounding
from snn_deploy.quantize.passes import Pass, Passed, Pipeline
from snn_deploy.quantize.pipeline import Compiled, check_program, compile_network, pipeline_for
from snn_deploy.quantize.report import LayerReport, ProjectionReport
from snn_deploy.quantize.sensitivity import sensitivity
from snn_deploy.quantize.widths import Found, Least, Searcher, Tried, Widths, search_widths

__all__ = [
    "Compiled",
    "Found",
    "LayerReport",
    "Least",
    "Objective",
    "Options",
    "Pass",
    "Passed",
    "Pipeline",
    "Preset",
    "ProjectionReport",
    "Rounding",
    "Searcher",
    "Tried",
    "Widths",
    "check_program",
    "compile_network",
    "pipeline_for",
    "search_widths",
    "sensitivity",
]
