"""lava-dl's `.net` files, read as the integer programs that its netx makes of them in Lava.

Promises: whole numbers only, so nothing is quantized, and what netx would refuse or misread is an
error that names the group. Tests compare with lava-dl itself.

`reading.py` is the way in, `chain.py` walks through the layers. A new type of layer goes into
`layers.py`, a neuron into `neurons.py` or `kinds.py`; `fields.py` checks what a group holds,
`weights.py` says what the chip stores.
"""

from snn_deploy.frontends.lava_dl.reading import NetProgram, read_net

__all__ = ["NetProgram", "read_net"]
