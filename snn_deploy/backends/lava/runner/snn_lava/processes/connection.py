"""A connection process for weights and delays that Lava's own connections do not take."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class FixedPointConnection(AbstractProcess):
    """Weights of any size with any delay of at least one step.

    Args:
        parts: (delay, scipy.sparse.csr_matrix of int64 [post, pre]) each.
        weight_exp: The sum is shifted left by this.
        sample_steps: Steps of a sample; what is under way when it ends is dropped.
    """

    def __init__(self, *, parts, weight_exp, sample_steps, name=None):
        super().__init__(parts=parts, weight_exp=weight_exp, sample_steps=sample_steps, name=name)
        post, pre = parts[0][1].shape
        self.s_in = InPort(shape=(pre,))
        self.a_out = OutPort(shape=(post,))


@implements(proc=FixedPointConnection, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFixedPointConnectionModel(PyLoihiProcessModel):
    """Sends what arrives in this step, then adds up what will arrive later."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.parts = proc_params["parts"]
        self.weight_exp = proc_params["weight_exp"]
        self.sample_steps = proc_params["sample_steps"]
        longest = max(delay for delay, _ in self.parts)
        self.ring = np.zeros((longest, self.parts[0][1].shape[0]), np.int64)

    def run_spk(self):
        """Send first, so that loops of connections do not wait for each other."""
        if (self.time_step - 1) % self.sample_steps == 0:
            self.ring[:] = 0
        slots = len(self.ring)
        now = self.time_step % slots
        self.a_out.send(self.ring[now])
        self.ring[now] = 0
        payload = self.s_in.recv().astype(np.int64)
        for delay, weights in self.parts:
            self.ring[(now + delay) % slots] += weights.dot(payload) << self.weight_exp
