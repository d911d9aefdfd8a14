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
from lava.proc.atrlif.models import PyATRLIFModelFixed
from lava.proc.atrlif.process import ATRLIF
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc, PyTernLifModelFixed
from lava.proc.lif.process import LIF, LIFReset, TernaryLIF
from lava.proc.rf.models import PyRFModelFixed
from lava.proc.rf.process import RF
from lava.proc.rf_iz.models import PyRF_IZModelFixed
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.models import PyDeltaModelFixed, PySigmaDeltaModelFixed, PySigmaModelFixed
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta
from lava.proc.sparse.models import PyDelaySparseModelBitAcc, PySparseModelBitAcc
from lava.proc.sparse.process import DelaySparse, Sparse

LOWEST = -(2**23 - 1)
"""Where Lava's v saturates: no multiple of 64."""


class Receiving:
    """An input port that remembers what it received."""

    def __init__(self, port):
        self.port = port
        self.data = None

    def recv(self):
        """Return what arrives."""
        self.data = self.port.recv()
        return self.data


class Sending:
    """An output port that remembers what it sent."""

    def __init__(self, port):
        self.port = port
        self.data = None

    def send(self, data):
        """Send `data` on."""
        self.data = np.asarray(data).astype(np.int64)
        self.port.send(data)


class ObservedLif:
    """Any LIF of Lava; `guard` names what would make it differ from the program."""

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.record = proc_params["record"]
        self.guard = proc_params["guard"]
        self.sending = None

    def run_spk(self):
        """Compute one step of the stock model between reset and record."""
        if self.sending is None:
            self.sending = self.s_out = Sending(self.s_out)
        time_step = self.time_step
        if time_step == 1:
            self.initial = self.u.copy(), self.v.copy()
        elif self.record.step_of(time_step) == 0:
            self.u[:], self.v[:] = self.initial
        self.time_step = self.record.step_of(time_step) + 1  # LIFReset counts a sample's own
        super().run_spk()
        self.time_step = time_step
        values = {"current": self.u, "membrane": self.v, "payload": self.sending.data}
        self.record.keep(time_step, values, self.overflows)
        fired = self.guard == "silent" and self.sending.data.any()
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


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PlainLif(ObservedLif, PyLifModelBitAcc):
    """Lava's LIF."""


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RestartedLif(ObservedLif, PyLifResetModelBitAcc):
    """Lava's LIFReset."""


@implements(proc=TernaryLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SignedLif(ObservedLif, PyTernLifModelFixed):
    """Lava's TernaryLIF."""


class ObservedKind:
    """A neuron of another kind; what it overflowed is counted by our own step beside it."""

    registers = ()
    """The variable of each state."""

    doors = (("a_in", ""),)
    """The state that each input port drives; empty: the first of `registers`."""

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.record = proc_params["record"]
        self.twin = proc_params["twin"]
        self.shift = proc_params["input_shift"]
        self.sending = None

    def run_spk(self):
        """Compute one step of the stock model between reset and record."""
        if self.sending is None:
            self.sending = self.s_out = Sending(self.s_out)
            self.receiving = {door: Receiving(getattr(self, door)) for door, _ in self.doors}
            for door, port in self.receiving.items():
                setattr(self, door, port)
        step, twin = self.record.step_of(self.time_step), self.twin
        if step == 0:
            twin.start()
            for state, name in self.registers:
                value = twin.values[state].astype(np.int32)
                setattr(self, name, np.array(np.broadcast_to(value, getattr(self, name).shape)))
        else:
            twin.values = {state: self._whole(name) for state, name in self.registers}
        super().run_spk()
        arrived = {
            state or self.registers[0][0]: self.receiving[door].data.astype(np.int64) << self.shift
            for door, state in self.doors
        }
        twin.advance(arrived, step)
        values = {state: self._whole(name) for state, name in self.registers}
        values["payload"] = self.sending.data
        self.record.keep(self.time_step, values, twin.overflows)

    def _whole(self, name):
        return np.array(getattr(self, name)).astype(np.int64)


@implements(proc=ATRLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedAdaptive(ObservedKind, PyATRLIFModelFixed):
    """Lava's ATRLIF."""

    registers = (("current", "i"), ("membrane", "v"), ("threshold", "theta"), ("refraction", "r"))


@implements(proc=RF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedResonator(ObservedKind, PyRFModelFixed):
    """Lava's RF."""

    registers = (("membrane", "real"), ("imaginary", "imag"))
    doors = (("a_real_in", "membrane"), ("a_imag_in", "imaginary"))


@implements(proc=RF_IZ, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedIzhikevich(ObservedKind, PyRF_IZModelFixed):
    """Lava's RF_IZ."""

    registers = (("membrane", "real"), ("imaginary", "imag"))
    doors = (("a_real_in", "membrane"), ("a_imag_in", "imaginary"))


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedSigma(ObservedKind, PySigmaModelFixed):
    """Lava's Sigma."""

    registers = (("sigma", "sigma"),)


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedDelta(ObservedKind, PyDeltaModelFixed):
    """Lava's Delta."""

    registers = (("activation", "act"), ("residue", "residue"), ("error", "error"))


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ObservedSigmaDelta(ObservedKind, PySigmaDeltaModelFixed):
    """Lava's SigmaDelta."""

    registers = (("sigma", "sigma"), *ObservedDelta.registers)


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
    LIF: PlainLif,
    LIFReset: RestartedLif,
    TernaryLIF: SignedLif,
    ATRLIF: ObservedAdaptive,
    RF: ObservedResonator,
    RF_IZ: ObservedIzhikevich,
    Sigma: ObservedSigma,
    Delta: ObservedDelta,
    SigmaDelta: ObservedSigmaDelta,
    Dense: ObservedDense,
    DelayDense: ObservedDelayDense,
    Sparse: ObservedSparse,
    DelaySparse: ObservedDelaySparse,
    Conv: ObservedConv,
}
"""Which model runs which stock process."""
