"""Modules of the user's own class: they are run, and what their layers got is followed.

Promises: the module is afterwards as it was; what cannot be followed is refused where a layer or an
output needs it; a second sample must give the same formulas, and the network is compared with the
module, spike for spike, before it is returned.

`live.py` is the way in and decides whether a module must be run at all; `module.py` captures it,
`run.py` runs it once, `graph.py` makes layers of its formulas, `comparison.py` compares. During a
run `called.py` watches layers by hooks, and `trail.py` torch's functions: `functions.py` lists who
follows which (`layers.py`, `sums.py`, `products.py`, `time.py`, `views.py`). A torch function more
is a row in `functions.py`. `axes.py` and `formulas.py` are what all of them speak in: change these
last.
"""

from snn_deploy.frontends.capture.axes import Layout
from snn_deploy.frontends.capture.comparison import Comparison, compare_with_module, module_trace
from snn_deploy.frontends.capture.live import read_live

__all__ = ["Comparison", "Layout", "compare_with_module", "module_trace", "read_live"]
