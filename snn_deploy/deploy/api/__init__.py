"""The public API: each function is also a command, its docstring the command's help.

Heavy libraries are imported inside the functions, so that `import snn_deploy` is quick.
"""

from snn_deploy.deploy.api.about import doctor, explain, lava_setup, show_targets
from snn_deploy.deploy.api.comparing import diff
from snn_deploy.deploy.api.converting import netx, nir
from snn_deploy.deploy.api.estimating import estimate
from snn_deploy.deploy.api.evaluating import evaluate
from snn_deploy.deploy.api.exporting import export
from snn_deploy.deploy.api.given import load
from snn_deploy.deploy.api.inspecting import inspect
from snn_deploy.deploy.api.reporting import report
from snn_deploy.deploy.api.running import simulate, verify
from snn_deploy.deploy.api.tuning import tune

__all__ = [
    "diff",
    "doctor",
    "estimate",
    "evaluate",
    "explain",
    "export",
    "inspect",
    "lava_setup",
    "load",
    "netx",
    "nir",
    "report",
    "show_targets",
    "simulate",
    "tune",
    "verify",
]
