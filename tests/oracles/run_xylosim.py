"""Runs networks in xylosim 0.1.3, the bit-exact simulator of Xylo that SynSense published.

    python run_xylosim.py CASES.json OUTPUT.npz

CASES is a list of networks as `record` in xylo_networks.py writes them. OUTPUT gets, for each case
and for `hidden` and `output` neurons, `CASE/hidden/i`, `/v` and `/s` [step, neuron].

It runs in an environment of its own (`make oracles`), which has no snn_deploy.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from xylosim.v2 import XyloLayer, XyloSynapse


def synapses(weight: list[list[int]], owned: list[Any]) -> list[list[Any]]:
    """Return the synapses of each source; `weight` is [pre, post]."""
    rows = []
    for row in weight:
        made = [XyloSynapse(post, 0, w) for post, w in enumerate(row) if w]
        owned += made  # the layer keeps raw pointers to them
        rows.append(made)
    return rows


def run(case: dict[str, Any]) -> dict[str, np.ndarray]:
    owned: list[Any] = []
    hidden, output = case["hidden"], case["output"]
    layer = XyloLayer(
        synapses_in=synapses(case["input_weights"], owned),
        synapses_rec=synapses(case["hidden_weights"], owned),
        synapses_out=synapses(case["output_weights"], owned),
        aliases=[[] for _ in hidden["threshold"]],
        threshold=hidden["threshold"],
        threshold_out=output["threshold"],
        has_bias=any(hidden["bias"] + output["bias"]),
        bias=hidden["bias"],
        bias_out=output["bias"],
        weight_shift_inp=case["shifts"][0],
        weight_shift_rec=case["shifts"][1],
        weight_shift_out=case["shifts"][2],
        dash_mem=hidden["membrane_shift"],
        dash_mem_out=output["membrane_shift"],
        dash_syns=[[shift] for shift in hidden["current_shift"]],
        dash_syns_out=[[shift] for shift in output["current_shift"]],
        name=case["name"],
    )
    spikes = layer.evolve(case["inputs"])
    found = {
        "hidden/i": np.array(layer.rec_i_syn).T,
        "hidden/v": np.array(layer.rec_v_mem).T,
        "hidden/s": np.array(layer.rec_recurrent_spikes),
        "output/i": np.array(layer.rec_i_syn_out).T,
        "output/v": np.array(layer.rec_v_mem_out).T,
        "output/s": np.array(spikes),
    }
    return {f"{case['name']}/{key}": states.astype(np.int64) for key, states in found.items()}


if __name__ == "__main__":
    cases, output = sys.argv[1:]
    found: dict[str, np.ndarray] = {}
    for case in json.loads(Path(cases).read_text()):
        found |= run(case)
    np.savez(output, **found)
