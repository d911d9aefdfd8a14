"""What every frontend gives: the network, the NIR graph it came through, and what was guessed."""

from dataclasses import dataclass
from typing import Any

import nir

from snn_deploy.frontends.nir.annotation import Annotation
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A trained network, read."""

    network: Network

    graph: nir.NIRGraph
    """Flat, with every shape filled in; its metadata holds the annotation."""

    annotation: Annotation
    findings: tuple[Finding, ...]

    nir_bytes: bytes
    """`graph` as a NIR file. Same input, same bytes."""

    encoding: Encoding
    """How values become what enters the network."""

    module: Any = None
    """The torch module that it was read from; None: there is none, or it is a record of one."""
