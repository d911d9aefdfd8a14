"""Record what sinabs computes for the published N-MNIST network: spikes per layer and step.

Run by hand where torch and sinabs 3.1.3 are installed (`pip install --no-deps sinabs==3.1.3 pbr
nirtorch`), from the root of the repository, beside which the published networks stand:

    python tests/frontends/record_sinabs.py

It writes `sinabs_counts.json` beside itself, which the tests compare with our own simulator.
The layers are made from the file's weights by hand, with neither library's NIR code.
"""

import json
from pathlib import Path

import h5py
import numpy as np
import sinabs
import sinabs.activation
import sinabs.layers
import torch
from torch import nn

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"
STEPS = 300
LAYERS = ("1", "3", "6", "10", "12")
FLOORS = {"none": None, "minus_one": -1.0}


def recorded_events(path: Path) -> np.ndarray:
    """Return events counted per step of 1 ms: [step, polarity, y, x]; off is polarity 0."""
    raw = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, polarity = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    step = (((raw[:, 2] & 0x7F) << 16) | (raw[:, 3] << 8) | raw[:, 4]) // 1000
    frames = np.zeros((STEPS, 2, 34, 34), np.float32)
    inside = step < STEPS
    np.add.at(frames, (step[inside], polarity[inside], y[inside], x[inside]), 1)
    return frames


def layers(path: Path, floor: float | None) -> nn.Sequential:
    """Return the network of the file: float32, integrate-and-fire, subtract, multi-spike."""

    def neurons() -> nn.Module:
        return sinabs.layers.IAF(
            spike_threshold=torch.tensor(1.0),
            spike_fn=sinabs.activation.MultiSpike,
            reset_fn=sinabs.activation.MembraneSubtract(),
            min_v_mem=None if floor is None else torch.tensor(floor),
        )

    with h5py.File(path) as file:
        nodes = file["node/nodes"]
        for name in LAYERS:
            assert np.all(nodes[name]["v_threshold"][()] == 1)
            assert np.all(nodes[name]["r"][()] == 1)
        modules = []
        for name in ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"):
            node = nodes[name]
            kind = node["type"][()].decode()
            if kind == "Conv2d":
                weight = torch.from_numpy(node["weight"][()])
                layer = nn.Conv2d(
                    weight.shape[1],
                    weight.shape[0],
                    tuple(weight.shape[2:]),
                    stride=tuple(int(n) for n in node["stride"][()]),
                    padding=tuple(int(n) for n in node["padding"][()]),
                )
                layer.weight.data = weight
                layer.bias.data = torch.from_numpy(node["bias"][()])
            elif kind == "Affine":
                weight = torch.from_numpy(node["weight"][()])
                layer = nn.Linear(weight.shape[1], weight.shape[0])
                layer.weight.data = weight
                layer.bias.data = torch.from_numpy(node["bias"][()])
            elif kind == "SumPool2d":
                layer = sinabs.layers.SumPool2d(2)
            elif kind == "Flatten":
                layer = nn.Flatten(start_dim=1)
            else:
                assert kind == "IF", kind
                layer = neurons()
            modules.append((name, layer))
    network = nn.Sequential()
    for name, layer in modules:
        network.add_module(name, layer)
    return network


def counts(network: nn.Sequential, frames: np.ndarray) -> dict[str, list[int]]:
    """Return the spikes of each neuron layer in each step."""
    values = torch.from_numpy(frames)
    found = {}
    with torch.no_grad():
        for name, layer in network.named_children():
            if name in LAYERS:
                values = layer(values[None])[0]
                per_step = values.reshape(STEPS, -1).sum(dim=1)
                found[name] = [int(n) for n in per_step.tolist()]
            else:
                values = layer(values)
    found["answer"] = [int(n) for n in values.sum(dim=0).tolist()]
    return found


def main() -> None:
    """Record both floors."""
    frames = recorded_events(DATA / "events" / "sample_nmnist.bin")
    record = {
        "sinabs": "3.1.3",
        "torch": torch.__version__,
        "events": int(frames.sum()),
        **{
            name: counts(layers(DATA / "nir-paper" / "cnn_sinabs.nir", floor), frames)
            for name, floor in FLOORS.items()
        },
    }
    (HERE / "sinabs_counts.json").write_text(json.dumps(record, indent=None) + "\n")


if __name__ == "__main__":
    main()
