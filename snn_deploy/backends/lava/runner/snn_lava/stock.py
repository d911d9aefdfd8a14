"""Lava's own fixed-point models, observed: their arithmetic is Lava's, not ours.

Around each step of the stock model these classes do two things that Lava offers only number
by number through `Var.set` and `Var.get`: before the first step of a sample the states become
what they were before the first step of all; after each step they are written down. And they
keep what the stock models compute from constants in every step.
"""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF
from lava.proc.sparse.models import PyDelaySparseModelBitAcc, PySparseModelBitAcc
from lava.proc.sparse.process import DelaySparse, Sparse

LOWEST = -(2**23 - 1)
"""Where Lava's v saturates: no multiple of 64."""


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedLif(PyLifModelBitAcc):
    """Lava's LIF; `guard` names what would make it differ from the program."""

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.record = proc_params["record"]
        self.guard = proc_params["guard"]

    def run_spk(self):
        """Compute one step of the stock model between reset and record."""
        if self.time_step == 1:
            self.initial = self.u.copy(), self.v.copy()
        elif self.record.step_of(self.time_step) == 0:
            self.u[:], self.v[:] = self.initial
        super().run_spk()
        self.record.keep(self.time_step, self.u, self.v, self.s_out_buff, self.overflows)
        fired = self.guard == "silent" and self.s_out_buff.any()
        if fired or (self.guard == "lattice" and self.v.min() <= LOWEST):
            self.record.leave()

    def subthr_dynamics(self, activation_in):
        """Count the registers that overflow in the stock model's step."""
        u, v = self.u.astype(np.int64), self.v.astype(np.int64)
        super().subthr_dynamics(activation_in)
        arrived = activation_in.astype(np.int64) << self.act_shift
        unwrapped = self._decayed(u, self.du + self.ds_offset) + arrived
        unclipped = self._decayed(v, self.dv + self.dm_offset) + self.u + self.effective_bias
        self.overflows = np.count_nonzero(unwrapped != self.u)
        self.overflows += np.count_nonzero(unclipped != self.v)

    def _decayed(self, value, decay):
        kept = np.abs(value) * (self.decay_unity - decay)
        return np.sign(value) * (kept >> self.decay_shift)


class FreshEachSample:
    """Empties the buffer of a connection before the first step of a sample."""

    buffer = "a_buff"

    def run_spk(self):
        """Compute one step of the stock model, which first sends its buffer."""
        if (self.time_step - 1) % self.proc_params["sample_steps"] == 0:
            setattr(self, self.buffer, np.zeros_like(getattr(self, self.buffer)))
        super().run_spk()


class DelaysOnce:
    """Splits the weights by delay once; the stock models do it in every step, from constants."""

    split = None

    def get_delay_wgts_mat(self, weights, delays, max_delay):
        """Return what the stock model returns."""
        if self.split is None:
            self.split = super().get_delay_wgts_mat(weights, delays, max_delay)
        return self.split


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedDense(FreshEachSample, PyDenseModelBitAcc):
    """Lava's Dense."""


@implements(proc=DelayDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedDelayDense(FreshEachSample, DelaysOnce, PyDelayDenseModelBitAcc):
    """Lava's DelayDense."""


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedSparse(FreshEachSample, PySparseModelBitAcc):
    """Lava's Sparse."""


@implements(proc=DelaySparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedDelaySparse(FreshEachSample, DelaysOnce, PyDelaySparseModelBitAcc):
    """Lava's DelaySparse."""


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedConv(FreshEachSample, PyConvModelFixed):
    """Lava's Conv."""

    buffer = "a_buf"


MODELS = {
    LIF: ObservedLif,
    Dense: ObservedDense,
    DelayDense: ObservedDelayDense,
    Sparse: ObservedSparse,
    DelaySparse: ObservedDelaySparse,
    Conv: ObservedConv,
}
"""Which model runs which stock process."""
