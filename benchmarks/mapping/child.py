"""Runs SANA-FE's DVS-gesture network on its Loihi; started by `run.py` where SANA-FE is installed.

child.py WEIGHTS.npz                                   copies the network's weights there
child.py CORES.json RESULT.npz STEPS         runs it with that core for each neuron
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import sanafe
from sanafe import layers, tutorial


def network(weights):
    """Return SANA-FE's network, built as its tutorial 5 tells, and its six layers."""
    net, threshold = sanafe.Network(), weights["thresholds"]
    chain = [layers.Input2D(net, 32, 32, threshold=threshold[0])]
    for number, name in enumerate(("conv1", "conv2", "conv3", "conv4"), 1):
        stride = 2 if number == 1 else 1
        chain.append(
            layers.Conv2D(
                net,
                chain[-1],
                weights[name],
                stride_width=stride,
                stride_height=stride,
                threshold=threshold[number],
            )
        )
    chain.append(layers.Dense(net, chain[-1], 11, weights["dense1"], threshold=threshold[5]))
    for neuron, bias in zip(chain[0], weights["inputs"], strict=True):
        neuron.set_attributes(model_attributes={"bias": float(bias)})
    return net, chain


def simulate(weights, cores, steps, model, *, trace=False):
    """Return SANA-FE's results for one mapping."""
    arch = sanafe.load_arch(str(files("sanafe.examples") / "loihi.yaml"))
    net, chain = network(weights)
    for layer, places in zip(chain, cores, strict=True):
        for neuron in layer:
            neuron.set_attributes(log_spikes=trace)
        for neuron, core in zip(layer, places, strict=True):
            neuron.map_to_core(arch.cores()[core])
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    result = chip.sim(steps, timing_model=model, spike_trace=True if trace else None)
    return result, [layer.group.get_name() for layer in chain]


def main() -> None:
    """Do what the arguments say."""
    with tutorial.get_dvs_data() as file:
        weights = dict(np.load(file))
    if len(sys.argv) == 2:
        np.savez(sys.argv[1], **weights)
        return
    cores = json.loads(Path(sys.argv[1]).read_text())
    steps = int(sys.argv[3])
    detailed, names = simulate(weights, cores, steps, "detailed", trace=True)
    simple, _ = simulate(weights, cores, steps, "simple")
    if sum(map(len, detailed["spike_trace"])) != detailed["neurons_fired"]:
        raise SystemExit("SANA-FE traced other spikes than it counted")
    sizes = [len(places) for places in cores]
    spikes = np.zeros((len(sizes), steps, max(sizes)), bool)
    for step, fired in enumerate(detailed["spike_trace"]):
        for neuron in fired:
            spikes[names.index(neuron.group_name), step, neuron.neuron_offset] = True
    np.savez(
        sys.argv[2],
        spikes=np.packbits(spikes),
        shape=spikes.shape,
        operations=detailed["spikes"],
        fired=detailed["neurons_fired"],
        messages=detailed["packets_sent"],
        energy=detailed["energy"]["total"],
        network=detailed["energy"]["network"],
        detailed=detailed["sim_time"],
        simple=simple["sim_time"],
    )


main()
