"""Architecture files: which layers and neurons the weights of a state dict belong to.

Promises: a file is data, each of its entries is used or refused, and so is each tensor of the state
dict; a layer is read as its framework's own module would be.

`file.py` reads the TOML by way of `table.py`, `network.py` joins it with weights, `from_keys.py`
drafts a file from a state dict. A framework's layers are a file here, such as `snntorch.py`, listed
in `kinds.py`: each a `LayerKind` (`kind.py`) with its defaults, whose options `options.py` checks.
Neurons in our own words are in `own.py`.
"""

from snn_deploy.frontends.arch.file import Architecture, read_architecture
from snn_deploy.frontends.arch.from_keys import draft
from snn_deploy.frontends.arch.network import build

__all__ = ["Architecture", "build", "draft", "read_architecture"]
