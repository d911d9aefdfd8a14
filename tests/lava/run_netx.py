"""Runs lava-dl files with lava-dl's own netx in Lava, and records every state of every layer.

    python run_netx.py FILE.net INPUT.npz OUTPUT.npz [FILE.net INPUT.npz OUTPUT.npz ...]

INPUT has `input` [step, *shape], shape being channels, height, width, or neurons, and the scalars
`message_bits`, `layers` (0: all), `reset_interval` (0: none) and `reset_offset`. OUTPUT gets u_0,
v_0, s_0, u_1, ... [step, *shape], layer by layer.

lava-dl imports torch although netx needs none of it: stubs stand for torch and for slayer. States
are recorded where they are computed, in the process of each layer: Lava's monitors take a
hundred times as long.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def stub_torch() -> None:
    """Let lava-dl's netx be imported without torch."""

    def stub(name: str, **names: object) -> ModuleType:
        module = ModuleType(name)
        vars(module).update(names)
        sys.modules[name] = module
        return module

    stub("torch", tensor=np.ndarray)
    home = "lava.lib.dl.slayer"
    rf = stub(f"{home}.neuron.rf", neuron_params=None)
    stub(home, neuron=stub(f"{home}.neuron", rf=rf))


def recording(plain: Callable[..., None], folder: Path, steps: int) -> Callable[..., None]:
    """Return LIF's reset such that it writes all states after the last, as `<process id>.npz`.

    It is the last of LIF's and LIFReset's step that touches a state, and is given the spikes.
    """
    records: dict[str, list[np.ndarray]] = {"u": [], "v": [], "s": []}  # one process, one copy

    def reset_voltage(self: Any, spike_vector: np.ndarray) -> None:
        plain(self, spike_vector)
        for name, state in (("u", self.u), ("v", self.v), ("s", spike_vector)):
            records[name].append(np.array(state, np.int64))
        if self.time_step == steps:
            np.savez(
                folder / f"{self.model_id}.npz", **{k: np.stack(a) for k, a in records.items()}
            )

    return reset_voltage


def run_all(jobs: list[tuple[Path, Path, Path]]) -> None:
    stub_torch()
    from lava.proc.lif.models import AbstractPyLifModelFixed as Model

    plain = Model.reset_voltage
    for net, given, out in jobs:
        with tempfile.TemporaryDirectory() as name:
            Model.reset_voltage = recording(plain, Path(name), np.load(given)["input"].shape[0])
            np.savez(out, **run(net, given, Path(name)))


def run(net: Path, given: Path, folder: Path) -> dict[str, np.ndarray]:
    from lava.lib.dl.netx import hdf5
    from lava.lib.dl.netx.blocks.process import Input
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    arrays = np.load(given)
    values = arrays["input"]
    network = hdf5.Network(
        net_config=str(net),
        num_layers=int(arrays["layers"]) or None,
        input_message_bits=int(arrays["message_bits"]),
        reset_interval=int(arrays["reset_interval"]) or None,
        reset_offset=int(arrays["reset_offset"]),
        input_shape=values.shape[:0:-1] if values.ndim == 4 else None,
    )
    values = values.transpose().astype(np.int32)  # width, height, channel, step
    if isinstance(network.in_layer, Input):  # it has no way in but the bias of its neurons
        assert np.all(values == values[..., :1]), "only a constant input is a bias"
        network.in_layer.neuron.bias_mant.init = values[..., 0]
    else:
        Source(data=values).s_out.connect(network.inp)
    sink = Sink(shape=network.out.shape, buffer=1)
    network.out.connect(sink.a_in)
    configuration = Loihi2SimCfg(select_tag="fixed_pt")
    network.run(condition=RunSteps(num_steps=values.shape[-1]), run_cfg=configuration)
    network.stop()
    found = {}
    for index, layer in enumerate(network.layers):
        for key, record in np.load(folder / f"{layer.neuron.id}.npz").items():
            image = record.ndim == 4
            found[f"{key}_{index}"] = record.transpose(0, 3, 2, 1) if image else record
    return found


if __name__ == "__main__":
    files = [Path(argument) for argument in sys.argv[1:]]
    run_all(list(zip(files[::3], files[1::3], files[2::3], strict=True)))
