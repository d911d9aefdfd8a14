"""Runs a program in Lava and collects what it recorded."""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from snn_lava.build import Network, recorded
from snn_lava.files import lag_of
from snn_lava.stock import MODELS

MOST_NUMBERS = 2**26
"""Numbers of input and record that one Lava network holds; more samples than that go one after
another."""


def run(program, plan, inputs, record):
    """Return {population.quantity: array [sample, ...]} of a run.

    Args:
        program: From `files.read_program`.
        plan: From `files.read_plan`; a population that leaves the range in which its LIF is
            exact becomes our own process, and everything runs again.
        inputs: {name: int32 array [sample, step, neuron]}.
        record: "none" | "spikes" | "states".
    """
    lag = lag_of(program)
    padded = {name: np.pad(v, ((0, 0), (0, lag), (0, 0))) for name, v in inputs.items()}
    samples = len(next(iter(padded.values())))
    at_once = _at_once(program, padded, record)
    collected = []
    done = 0
    while done < samples:
        some = {name: values[done : done + at_once] for name, values in padded.items()}
        arrays, left = _run_some(program, plan, some, record, (done, samples))
        if left:
            _run_as_own(plan, left)
            continue
        collected.append(arrays)
        done += at_once
    return _joined(collected)


def unroll(plan):
    """Change every Conv of the plan to Sparse; it is chosen only where both compute the same."""
    for how in plan.projections:
        if how.process == "Conv":
            how.process = "Sparse"


def _at_once(program, inputs, record):
    steps = next(iter(inputs.values())).shape[1]
    values = sum(v.shape[2] for v in inputs.values())
    states = sum(int(np.prod(p.shape)) * len(recorded(p, record)) for p in program.populations)
    return max(1, MOST_NUMBERS // max(1, steps * (values + states)))


def _run_as_own(plan, left):
    """Change the plan of the populations `left` to our own process."""
    for how in plan.populations:
        if how.name in left:
            why = {
                "silent": "the readout reached the highest threshold",
                "lattice": "v saturated, and is no multiple of 64 since",
            }[how.guard]
            print(f"{how.name}: {why}; run again with our own process", file=sys.stderr)
            how.process, how.support, how.reason, how.groups = (
                "FixedPointNeuron",
                "simulated",
                why,
                [],
            )


def _run_some(program, plan, inputs, record, progress):
    folder = Path(tempfile.mkdtemp(prefix="snn-lava-"))
    try:
        network = Network(program, plan, inputs, record, folder / "record")
        for process in network.components():
            _run_component(network, process, progress)
        left = {
            name
            for name, parts in network.parts.items()
            if any(p.record is not None and p.record.files("r")["left"][0] for p in parts)
        }
        return _collected(network), left
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_component(network, process, progress):
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=MODELS)
    first, samples = progress
    for sample in range(network.samples):
        process.run(condition=RunSteps(num_steps=network.steps), run_cfg=config)
        print(f"progress {first + sample + 1} {samples}", file=sys.stderr, flush=True)
    process.stop()


def _collected(network):
    arrays = {}
    for population in network.program.populations:
        parts = network.parts[population.name]
        for key in parts[0].record.files("r"):
            if key in ("left", "overflows"):
                continue
            pieces = [part.record.files("r")[key] for part in parts]
            lead = pieces[0].shape[:-1]
            size = int(np.prod(population.shape))
            whole = np.zeros((*lead, size), pieces[0].dtype)
            for part, piece in zip(parts, pieces, strict=True):
                whole[..., part.neurons] = piece
            arrays[f"{population.name}.{key}"] = whole.reshape(*lead, *population.shape)
        count = sum(int(part.record.files("r")["overflows"][0]) for part in parts)
        arrays[f"{population.name}.overflows"] = np.array([count])
    return arrays


def _joined(collected):
    joined = {}
    for key in collected[0]:
        pieces = [arrays[key] for arrays in collected]
        counts = key.endswith(".overflows")
        joined[key] = sum(pieces) if counts else np.concatenate(pieces)
    return joined
