"""Runs networks in brian2-loihi 0.5.2, an emulator of Loihi 1 that others wrote.

    python run_brian2_loihi.py CASES.json OUTPUT.npz

CASES is a list of networks as `loihi_case` in conftest.py writes them. OUTPUT gets, for each case
and population, `CASE/POPULATION/u`, `/v` and `/s` [step, neuron].

It runs in an environment of its own (`make oracles`), which has no snn_deploy.
"""

import json
import sys
from pathlib import Path
from typing import Any

import brian2_loihi as loihi
import numpy as np
from brian2 import prefs, start_scope

SIGNS = {"mixed": 1, "excitatory": 2, "inhibitory": 3}


def run(case: dict[str, Any]) -> dict[str, np.ndarray]:
    start_scope()
    nodes: dict[str, Any] = {}
    for entry in case["inputs"]:
        step, neuron = np.nonzero(np.array(entry["spikes"]))
        nodes[entry["name"]] = loihi.LoihiSpikeGeneratorGroup(entry["size"], neuron, step)
    monitors: dict[str, tuple[Any, Any, Any]] = {}
    for entry in case["populations"]:
        assert not any(entry["bias"]), "brian2-loihi has no bias"
        group = loihi.LoihiNeuronGroup(
            entry["size"],
            refractory=entry["refractory"],
            threshold_v_mant=entry["vth"],
            decay_v=entry["dv"],
            decay_I=entry["du"] + 1,
        )
        nodes[entry["name"]] = group
        monitors[entry["name"]] = (
            loihi.LoihiStateMonitor(group, "I", order=1),  # after all synapses of the step
            loihi.LoihiStateMonitor(group, "v"),
            loihi.LoihiSpikeMonitor(group),
        )
    populations = set(monitors)
    synapses = [connected(entry, nodes, populations) for entry in case["projections"]]
    recorders = [monitor for group in monitors.values() for monitor in group]
    loihi.LoihiNetwork(*nodes.values(), *synapses, *recorders).run(case["steps"])
    found = {}
    for name, (current, membrane, spikes) in monitors.items():
        fired = np.zeros(np.array(membrane.v).shape, np.int64)
        fired[np.array(spikes.i), np.array(spikes.t)] = 1
        for key, record in (("u", current.I), ("v", membrane.v), ("s", fired)):
            found[f"{case['name']}/{name}/{key}"] = np.rint(np.array(record)).astype(np.int64).T
    return found


def connected(entry: dict[str, Any], nodes: dict[str, Any], populations: set[str]) -> Any:
    # a neuron's spike is seen one step later, that of a generator in its own step
    delay = entry["delay"] - (entry["source"] in populations)
    synapses = loihi.LoihiSynapses(
        nodes[entry["source"]],
        nodes[entry["target"]],
        delay=delay,
        w_exp=entry["exponent"],
        sign_mode=SIGNS[entry["sign"]],
    )
    weight = np.array(entry["weight"])  # [post, pre]
    post, pre = (index.ravel() for index in np.indices(weight.shape))
    synapses.connect(i=pre, j=post)
    synapses.w = weight.ravel()
    return synapses


if __name__ == "__main__":
    prefs.codegen.target = "numpy"
    cases, output = sys.argv[1:]
    found: dict[str, np.ndarray] = {}
    for case in json.loads(Path(cases).read_text()):
        found |= run(case)
    np.savez(output, **found)
