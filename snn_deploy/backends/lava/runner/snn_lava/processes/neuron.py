"""A neuron process for everything that Lava's own neurons do not do."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

DOORS = ("first", "second", "third", "fourth", "fifth")


class FixedPointNeuron(AbstractProcess):
    """Integer neurons of a program, whatever they are.

    Args:
        shape: (number of neurons,)
        neurons: `snn_lava.step.Neurons`, or one of another kind.
        doors: The state that each input port drives, as many as are driven.
        input_shift: What arrives is shifted left by this to become state units.
        record: `snn_lava.record.Record` of this process.
    """

    def __init__(self, *, shape, neurons, doors, input_shift, record, name=None):
        super().__init__(
            shape=shape,
            neurons=neurons,
            doors=doors,
            input_shift=input_shift,
            record=record,
            name=name,
        )
        self.first = InPort(shape=shape)
        self.second = InPort(shape=shape)
        self.third = InPort(shape=shape)
        self.fourth = InPort(shape=shape)
        self.fifth = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=FixedPointNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFixedPointNeuronModel(PyLoihiProcessModel):
    """Computes in 64 bits what `snn_lava.step` and `snn_lava.kinds` say."""

    first: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    second: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    third: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fourth: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fifth: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.neurons = proc_params["neurons"]
        self.doors = proc_params["doors"]
        self.input_shift = proc_params["input_shift"]
        self.record = proc_params["record"]

    def run_spk(self):
        """Receive, advance, write down, send."""
        step = self.record.step_of(self.time_step)
        if step == 0:
            self.neurons.start()
        arrived = {
            state: getattr(self, door).recv().astype(np.int64) << self.input_shift
            for door, state in zip(DOORS, self.doors, strict=False)
        }
        self.neurons.advance(arrived, step)
        self.record.keep(self.time_step, self.neurons.values, self.neurons.overflows)
        self.s_out.send(self.neurons.values["payload"].astype(np.int32))
