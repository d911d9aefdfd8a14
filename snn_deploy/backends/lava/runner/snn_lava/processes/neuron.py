"""A neuron process for everything that Lava's LIF does not do."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from snn_lava.step import Neurons


class FixedPointNeuron(AbstractProcess):
    """The canonical integer neuron of a program.

    Args:
        shape: (number of neurons,)
        rules: `snn_lava.step.Rules`.
        input_shift: What arrives is shifted left by this to become state units.
        record: `snn_lava.record.Record` of this process.
    """

    def __init__(self, *, shape, rules, input_shift, record, name=None):
        super().__init__(
            shape=shape, rules=rules, input_shift=input_shift, record=record, name=name
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=FixedPointNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFixedPointNeuronModel(PyLoihiProcessModel):
    """Computes in 64 bits what `snn_lava.step` says."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.neurons = Neurons(proc_params["rules"], proc_params["shape"][0])
        self.input_shift = proc_params["input_shift"]
        self.record = proc_params["record"]

    def run_spk(self):
        """Receive, advance, write down, send."""
        step = self.record.step_of(self.time_step)
        if step == 0:
            self.neurons.start()
        drive = self.a_in.recv().astype(np.int64) << self.input_shift
        self.neurons.advance(drive, step)
        self.record.keep(
            self.time_step,
            self.neurons.u,
            self.neurons.v,
            self.neurons.s,
            self.neurons.overflows,
        )
        self.s_out.send(self.neurons.s.astype(np.int32))
