"""Runs networks in the emulator of nengo-loihi 1.1.0, whose authors tested it against a Loihi 1.

    python run_nengo_loihi.py CASES.json OUTPUT.npz

CASES is a list of networks as `loihi_case` in conftest.py writes them. OUTPUT gets, for each case
and population, `CASE/POPULATION/u`, `/v` and `/s` [step, neuron].

Blocks are built by hand from integers: nengo's own way to them starts from real numbers. It runs
in an environment of its own (`make oracles`), which has no snn_deploy.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.emulator import EmulatorInterface
from nengo_loihi.inputs import SpikeInput
from nengo_loihi.probe import LoihiProbe

STATE = 2**23 - 1
"""Where the emulator clips v."""

KEYS = {"u": "current", "v": "voltage", "s": "spiked"}


def run(case: dict[str, Any]) -> dict[str, np.ndarray]:
    model = Model()
    nodes: dict[str, Any] = {}
    for entry in case["inputs"]:
        nodes[entry["name"]] = source = SpikeInput(entry["size"])
        for step, row in enumerate(np.array(entry["spikes"])):
            source.add_spikes(step + 1, np.flatnonzero(row), permanent=True)
        model.add_input(source)
    probes = {}
    for entry in case["populations"]:
        nodes[entry["name"]] = block = neurons(entry)
        model.add_block(block)
        for key, attribute in KEYS.items():
            probe = LoihiProbe(target=block, key=attribute)
            model.add_probe(probe)
            probes[f"{case['name']}/{entry['name']}/{key}"] = probe
    for entry in case["projections"]:
        connect(nodes[entry["source"]], nodes[entry["target"]], entry)
    with warnings.catch_warnings(), EmulatorInterface(model, seed=0) as emulator:
        warnings.filterwarnings("ignore", "Overflow in")  # some cases are there to overflow
        emulator.run_steps(case["steps"])
        return {
            key: np.array(emulator.collect_probe_output(probe), np.int64)
            for key, probe in probes.items()
        }


def neurons(entry: dict[str, Any]) -> LoihiBlock:
    size = entry["size"]

    def each(value: Any) -> np.ndarray:
        return np.full(size, value, np.int32)

    block = LoihiBlock(size, label=entry["name"])
    part = block.compartment
    part.decay_u, part.decay_v = each(entry["du"]), each(entry["dv"])
    part.vth, part.bias = each(entry["vth"] * 64), each(entry["bias"])
    part.refract_delay = each(entry["refractory"])
    part.scale_u = part.scale_v = False
    part.vmin, part.vmax = -STATE, STATE
    return block


def connect(source: Any, target: LoihiBlock, entry: dict[str, Any]) -> None:
    assert entry["delay"] == 1, "the emulator has no delays"
    weight = np.array(entry["weight"], np.int32).T << (6 + entry["exponent"])  # [pre, post]
    synapse = Synapse(len(weight))
    synapse.weights = [row[None] for row in weight]
    synapse.indices = [np.arange(row.size)[None] for row in weight]
    target.add_synapse(synapse)
    axon = Axon(len(weight))
    axon.target = synapse
    source.add_axon(axon)


if __name__ == "__main__":
    cases, output = sys.argv[1:]
    found: dict[str, np.ndarray] = {}
    for case in json.loads(Path(cases).read_text()):
        found |= run(case)
    np.savez(output, **found)
