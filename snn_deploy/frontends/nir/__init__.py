"""NIR: its files, what they leave open, and the way from a graph to a `Network`.

Promises: a file is untrusted input; every number of the `Network` is decided, and where the file
does not say it, `Choice` records who did; what NIR cannot mean here is refused by node.

The way through: `file.py` reads and writes HDF5, `nodes.py` knows the node types, `flat.py` takes
nested graphs apart, `shapes.py` infers shapes, `decisions.py` decides (by option, by our metadata:
`annotation.py` and `cells.py`, by framework: `dialects.py`), `to_network.py` builds with `maps.py`,
`routes.py`, `biases.py` and `neurons.py`; `imported.py` is the result.

A framework that writes NIR in a way of its own is a row in `dialects.py`. A node type more goes
into `nodes.py`, `shapes.py` and `maps.py` or `neurons.py`. What stands in written files
(`annotation.py`) must stay readable.
"""

from snn_deploy.frontends.nir.annotation import KEY, Annotation, write_nir
from snn_deploy.frontends.nir.cells import CellOrigins, record_of
from snn_deploy.frontends.nir.decisions import decide, dialect_named
from snn_deploy.frontends.nir.dialects import SPIKE_CAP, Dialect
from snn_deploy.frontends.nir.file import read_graph, write_graph
from snn_deploy.frontends.nir.flat import checked_graph
from snn_deploy.frontends.nir.imported import Imported
from snn_deploy.frontends.nir.neurons import population_of
from snn_deploy.frontends.nir.nodes import NEURONS, node_type
from snn_deploy.frontends.nir.routes import depth_first
from snn_deploy.frontends.nir.shapes import check_size
from snn_deploy.frontends.nir.to_network import import_graph

__all__ = [
    "KEY",
    "NEURONS",
    "SPIKE_CAP",
    "Annotation",
    "CellOrigins",
    "Dialect",
    "Imported",
    "check_size",
    "checked_graph",
    "decide",
    "depth_first",
    "dialect_named",
    "import_graph",
    "node_type",
    "population_of",
    "read_graph",
    "record_of",
    "write_graph",
    "write_nir",
]
