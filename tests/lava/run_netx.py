"""Runs lava-dl files with lava-dl's own netx in Lava, and records every state of every layer.

    python run_netx.py FILE.net INPUT.npz OUTPUT.npz [FILE.net INPUT.npz OUTPUT.npz ...]

INPUT has `input` [step, *shape], shape being channels, height, width, or neurons, and the scalars
`message_bits`, `layers` (0: all), `reset_interval` (0: none) and `reset_offset`. OUTPUT gets the
states of layer n and what it sends, [step, *shape]: u_n, v_n and s_n of integrators; re_n, im_n and
s_n of resonators, and sine_n and cosine_n, as netx computed them; sigma_n, act_n, residue_n and s_n
of sigma-delta neurons.

lava-dl imports torch although netx needs none of it: stubs stand for torch and for slayer, save
for the one function of slayer that netx calls, which is taken from its file. States are recorded
where they are computed, in the process of each layer: Lava's monitors take a hundred times as long.
"""

import ast
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
    rf = stub(f"{home}.neuron.rf", neuron_params=resonator_params())
    stub(home, neuron=stub(f"{home}.neuron", rf=rf))


def resonator_params() -> Callable[..., Any]:
    """Return slayer's function that takes the decays of resonators apart."""
    import lava.lib.dl

    file = Path(lava.lib.dl.__path__[0]) / "slayer" / "neuron" / "rf.py"
    tree = ast.parse(file.read_text())
    name = "neuron_params"
    body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    names: dict[str, Any] = {"np": np}
    exec(compile(ast.Module(body=body, type_ignores=[]), str(file), "exec"), names)
    return names[name]


def models() -> list[tuple[type, dict[str, str]]]:
    """Return the neuron models of netx's layers, and the names of their states."""
    from lava.proc.lif import models as lif
    from lava.proc.rf import models as rf
    from lava.proc.rf_iz import models as rf_iz
    from lava.proc.sdn import models as sdn

    integrator, resonator = {"u": "u", "v": "v"}, {"re": "real", "im": "imag"}
    delta = {"act": "act", "residue": "residue"}
    return [
        (lif.PyLifModelBitAcc, integrator),
        (lif.PyLifResetModelBitAcc, integrator),
        (rf.PyRFModelFixed, resonator),
        (rf_iz.PyRF_IZModelFixed, resonator),
        (sdn.PySigmaModelFixed, {"sigma": "sigma"}),
        (sdn.PyDeltaModelFixed, delta),
        (sdn.PySigmaDeltaModelFixed, {"sigma": "sigma", **delta}),
    ]


def recording(
    plain: Callable[[Any], None], states: dict[str, str], folder: Path, steps: int
) -> Callable[[Any], None]:
    """Return a model's step that writes all states after the last, as `<process id>.npz`."""
    records: dict[str, list[np.ndarray]] = {}  # one process, one copy

    def run_spk(self: Any) -> None:
        send, sent = self.s_out.send, []
        self.s_out.send = lambda values: (sent.append(np.array(values)), send(values))
        plain(self)
        del self.s_out.send
        for name, state in states.items():
            records.setdefault(name, []).append(np.array(getattr(self, state), np.int64))
        records.setdefault("s", []).append(sent[0].astype(np.int64))
        if self.time_step == steps:
            np.savez(
                folder / f"{self.model_id}.npz", **{k: np.stack(a) for k, a in records.items()}
            )

    return run_spk


def run_all(jobs: list[tuple[Path, Path, Path]]) -> None:
    stub_torch()
    plain = [(model, states, model.run_spk) for model, states in models()]
    for net, given, out in jobs:
        with tempfile.TemporaryDirectory() as name:
            steps = np.load(given)["input"].shape[0]
            for model, states, run_spk in plain:
                model.run_spk = recording(run_spk, states, Path(name), steps)
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
    source = Source(data=values)
    if isinstance(network.in_layer, Input) and hasattr(network.in_layer.neuron, "act"):
        source.s_out.connect(network.in_layer.neuron.a_in)  # netx joins it to nothing
    elif isinstance(network.in_layer, Input):  # it has no way in but the bias of its neurons
        assert np.all(values == values[..., :1]), "only a constant input is a bias"
        network.in_layer.neuron.bias_mant.init = values[..., 0]
    else:
        source.s_out.connect(network.inp)
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
        if hasattr(layer.neuron, "sin_decay"):
            found[f"sine_{index}"] = np.asarray(layer.neuron.sin_decay.init)
            found[f"cosine_{index}"] = np.asarray(layer.neuron.cos_decay.init)
    return found


if __name__ == "__main__":
    files = [Path(argument) for argument in sys.argv[1:]]
    run_all(list(zip(files[::3], files[1::3], files[2::3], strict=True)))
