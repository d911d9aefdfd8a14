"""The layers that an architecture file can name, by framework."""

from collections.abc import Mapping

from snn_deploy.frontends.arch.kind import LayerKind
from snn_deploy.frontends.arch.norse import NORSE
from snn_deploy.frontends.arch.sinabs import SINABS
from snn_deploy.frontends.arch.snntorch import SNNTORCH
from snn_deploy.frontends.arch.spikingjelly import SPIKINGJELLY
from snn_deploy.frontends.arch.torch import TORCH

KINDS: Mapping[str, Mapping[str, LayerKind]] = {
    "torch": TORCH,
    "snntorch": SNNTORCH,
    "norse": NORSE,
    "sinabs": SINABS,
    "spikingjelly": SPIKINGJELLY,
}
"""Classes by their short names, by framework."""
