"""Plain NIR: what it says exactly of a network, and files with none of our metadata.

Promises: a plain file is written only where any reader of NIR computes the same spikes with the
step that it was made for; it is read back and compared before anyone gets it. Otherwise the answer
says, node by node, why not.

`forms.py` and `parts.py` say which nodes are exact for which neurons, `loops.py` how loops are
read, `sayings.py` puts both together. A node type that NIR gains is a form more.
"""

from snn_deploy.frontends.strict.forms import Saying
from snn_deploy.frontends.strict.sayings import plain

__all__ = ["Saying", "plain"]
