"""Runs networks in SANA-FE 2.2.9 on its own Loihi, for its counts, energy and time.

    python run_sanafe.py CASES.json OUTPUT.npz

CASES is a list of {name, steps, groups, edges}. A group has name, size, core (of each neuron, by
SANA-FE's numbers), threshold, reset, bias and, instead of these three, spikes (the steps in which
each neuron fires). An edge has source, target, synapse (a unit of SANA-FE's Loihi) and pre, post,
weight; or kernel [width, height, source channel, channel] with SANA-FE's eight sizes of it, where
neurons are in its order, channels last.
OUTPUT gets `CASE/key`: counts, energies [J], times [s], and `CASE/spikes/GROUP` [step, neuron].

It runs in an environment of its own (`make oracles`), which has no snn_deploy.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import sanafe


def built(case: dict[str, Any], *, trace: bool) -> sanafe.SpikingChip:
    """Return the chip with a network on it."""
    arch = sanafe.load_arch(str(files("sanafe.examples") / "loihi.yaml"))
    net = sanafe.Network()
    units = {edge["target"]: edge["synapse"] for edge in case["edges"]}
    groups = {}
    for entry in case["groups"]:
        name, given = entry["name"], "spikes" in entry
        neuron = {
            "threshold": entry.get("threshold", 1),
            "reset_mode": entry.get("reset", "soft"),
            "leak_decay": 1.0,
        }
        groups[name] = net.create_neuron_group(
            name,
            entry["size"],
            model_attributes={} if given else neuron,
            soma_hw_name="" if given else "loihi_lif",
            default_synapse_hw_name=units.get(name, "loihi_dense_synapse"),
            default_dendrite_hw_name="loihi_dendrites",
        )
    inputs = 0
    for entry in case["groups"]:
        for index, core in enumerate(entry["core"]):
            neuron = groups[entry["name"]][index]
            neuron.set_attributes(log_spikes=trace)
            if "spikes" in entry:
                neuron.set_attributes(soma_hw_name=f"loihi_inputs[{inputs}]")
                inputs += 1
            elif entry.get("bias"):
                neuron.set_attributes(model_attributes={"bias": float(entry["bias"][index])})
            neuron.map_to_core(arch.cores()[core])
    for edge in case["edges"]:
        if "kernel" in edge:
            kernel = {"w": np.asarray(edge["kernel"], np.float64)}
            groups[edge["source"]].connect_neurons_conv2d(
                groups[edge["target"]], kernel, *edge["sizes"]
            )
            continue
        pairs = list(zip(edge["pre"], edge["post"], strict=True))
        weight = {"weight": [float(w) for w in edge["weight"]]}
        groups[edge["source"]].connect_neurons_sparse(groups[edge["target"]], weight, pairs)
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    for entry in case["groups"]:
        for index, steps in enumerate(entry.get("spikes", ())):
            fires = [step in set(steps) for step in range(case["steps"])]
            mapped = chip.mapped_neuron_groups[entry["name"]][index]
            mapped.set_attributes(model_attributes={"spikes": fires})  # before loading: ignored
    return chip


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Return what SANA-FE says of a case."""
    steps = case["steps"]
    simple = built(case, trace=False).sim(steps, timing_model="simple")
    result = built(case, trace=True).sim(
        steps, timing_model="detailed", spike_trace=True, perf_trace=True
    )
    found = {
        "operations": result["spikes"],
        "fired": result["neurons_fired"],
        "updated": result["neurons_updated"],
        "messages": result["packets_sent"],
        "hops": sum(result["perf_trace"]["hops"]),
        **{f"energy/{name}": joule for name, joule in result["energy"].items()},
        "simple": simple["sim_time"],
        "detailed": result["sim_time"],
    }
    for entry in case["groups"]:
        found[f"spikes/{entry['name']}"] = np.zeros((steps, entry["size"]), bool)
    for step, fired in enumerate(result["spike_trace"]):
        for neuron in fired:
            found[f"spikes/{neuron.group_name}"][step, neuron.neuron_offset] = True
    return {f"{case['name']}/{key}": value for key, value in found.items()}


if __name__ == "__main__":
    cases, output = sys.argv[1:]
    everything: dict[str, Any] = {}
    for one in json.loads(Path(cases).read_text()):
        everything |= run(one)
    np.savez(output, **everything)
