"""From an ANN to a spiking network: rectifiers become integrate-and-fire neurons.

Promises: only what data was given decides the thresholds, the rest of the network stays what it
was, and every approximation is a finding with its error as measured.

`spiking.py` is the whole of it, `calibrate.py` chooses thresholds layer by layer, `pools.py` says
max-pooling in terms that neurons have. A new rule of calibration is a `ThresholdRule`; defaults
change with measurements only (design note 0007).
"""

from snn_deploy.frontends.convert.calibrate import ThresholdRule
from snn_deploy.frontends.convert.pools import MaxPooling, nonnegative
from snn_deploy.frontends.convert.spiking import Coding, Conversion, Converted, convert

__all__ = [
    "Coding",
    "Conversion",
    "Converted",
    "MaxPooling",
    "ThresholdRule",
    "convert",
    "nonnegative",
]
