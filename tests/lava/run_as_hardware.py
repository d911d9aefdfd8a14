"""Runs a folder's program by the way to the chip, with stand-ins for Intel's extension.

Usage: python run_as_hardware.py FOLDER INPUT.npz OUTPUT.npz, by a Python that has lava-nc. The
stand-ins have the names and arguments that public code shows of lava-loihi; the adapters pass on
what they get, and the chip is Lava's simulator.
"""

import sys
import types

import numpy as np
from lava.magma.core import run_configs
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.monitor.process import Monitor

made = []


class Adapter(AbstractProcess):
    def __init__(self, *, shape, num_message_bits=0):
        super().__init__(shape=shape)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)
        made.append((type(self).__name__, tuple(shape), num_message_bits))


class PyToNxAdapter(Adapter):
    pass


class PyToN3ConvAdapter(Adapter):
    pass


class NxToPyAdapter(Adapter):
    pass


class PyAdapterModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        self.out.send(self.inp.recv())


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
class PyPyToNx(PyAdapterModel):
    pass


@implements(proc=PyToN3ConvAdapter, protocol=LoihiProtocol)
@requires(CPU)
class PyPyToN3Conv(PyAdapterModel):
    pass


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
class PyNxToPy(PyAdapterModel):
    pass


class StateProbe:
    steps = 0

    def __init__(self, var):
        self.monitor = Monitor()
        self.monitor.probe(var, StateProbe.steps)

    @property
    def time_series(self):
        (data,) = self.monitor.get_data().values()
        (series,) = data.values()
        return series.T.ravel()


def hardware_config(callback_fxs):
    models = {PyToNxAdapter: PyPyToNx, PyToN3ConvAdapter: PyPyToN3Conv, NxToPyAdapter: PyNxToPy}
    return run_configs.Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)


def main(folder, given, output):
    sys.path.insert(0, folder)
    spike = types.SimpleNamespace(
        PyToNxAdapter=PyToNxAdapter,
        PyToN3ConvAdapter=PyToN3ConvAdapter,
        NxToPyAdapter=NxToPyAdapter,
    )
    run_configs.Loihi2HwCfg = hardware_config
    for name, content in (
        ("lava.proc.embedded_io", {"spike": spike}),
        ("lava.utils.loihi", {"is_installed": lambda: True}),
        ("lava.utils.loihi2_state_probes", {"StateProbe": StateProbe}),
    ):
        module = types.ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        __import__(parent)
        setattr(sys.modules[parent], last, module)
    from pathlib import Path

    from snn_lava import files, hardware

    program, plan = files.read_program(Path(folder)), files.read_plan(Path(folder))
    inputs = files.read_inputs(given, program)
    StateProbe.steps = next(iter(inputs.values())).shape[1] + files.lag_of(program)
    trace = hardware.run(program, plan, inputs)
    np.savez(output, **trace)
    print(sorted(set(made)))


if __name__ == "__main__":
    main(*sys.argv[1:])
