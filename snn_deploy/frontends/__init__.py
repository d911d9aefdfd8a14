"""From a trained network, whatever wrote it, to a real-valued `Network` and its NIR file."""

from snn_deploy.frontends.annotation import Annotation, write_nir
from snn_deploy.frontends.dialects import Dialect
from snn_deploy.frontends.dynamics import Choice, Dynamics, Firing, Origin, Overrides, ResetRule
from snn_deploy.frontends.imported import Imported
from snn_deploy.frontends.load import load

__all__ = [
    "Annotation",
    "Choice",
    "Dialect",
    "Dynamics",
    "Firing",
    "Imported",
    "Origin",
    "Overrides",
    "ResetRule",
    "load",
    "write_nir",
]
