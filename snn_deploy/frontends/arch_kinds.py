"""The layers that an architecture file can name, by framework."""

from collections.abc import Mapping

from snn_deploy.frontends.arch_kind import LayerKind
from snn_deploy.frontends.arch_norse import NORSE
from snn_deploy.frontends.arch_sinabs import SINABS
from snn_deploy.frontends.arch_snntorch import SNNTORCH
from snn_deploy.frontends.arch_spikingjelly import SPIKINGJELLY
from snn_deploy.frontends.arch_torch import TORCH

KINDS: Mapping[str, Mapping[str, LayerKind]] = {
    "torch": TORCH,
    "snntorch": SNNTORCH,
    "norse": NORSE,
    "sinabs": SINABS,
    "spikingjelly": SPIKINGJELLY,
}
"""Classes by their short names, by framework."""
