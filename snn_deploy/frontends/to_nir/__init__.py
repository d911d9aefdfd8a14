"""From layers to a NIR graph that any tool can read, and what NIR leaves open beside it.

Promises: what cannot be said as nodes of NIR exactly is said in our metadata or refused, never left
out; equal layers give equal graphs.

`graph.py` is the whole of it; `rewriting.py` folds normalisations first, `chains.py` says single
layers as nodes, `nearest.py` finds the node that comes nearest to neurons, `ways.py` which neurons
a linear node leads to. A new layer of `layers.py` needs its node in `chains.py`.
"""

from snn_deploy.frontends.to_nir.graph import to_nir
from snn_deploy.frontends.to_nir.nearest import next_smaller, time_constant

__all__ = ["next_smaller", "time_constant", "to_nir"]
