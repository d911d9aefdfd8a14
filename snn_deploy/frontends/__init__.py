"""From a trained network, whatever wrote it, to a real-valued `Network` and its NIR file."""

from snn_deploy.frontends.dynamics import Choice, Dynamics, Firing, Origin, Overrides, ResetRule
from snn_deploy.frontends.load import load
from snn_deploy.frontends.nir import Annotation, Dialect, Imported, write_nir

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
