"""SpikingJelly's layers: neurons, containers and what it wraps of torch.nn.

Promises: a layer is read by its attributes, live or pickled, for the updates of one stated version,
and the tests compare every class and option with it spike for spike; what no `Cell` computes is
refused with the reason.

`frontend.py` lists all classes. A neuron goes into `neurons.py`, in terms of `cells.py`; a layer
without neurons into `layers.py`, a container into `containers.py`.
"""

from snn_deploy.frontends.spikingjelly.frontend import FRONTEND

__all__ = ["FRONTEND"]
