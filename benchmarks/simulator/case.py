"""Writes a case where child processes read it, and holds the event simulator to the reference."""

import json
from pathlib import Path

import numpy as np
from networks import Case, Layer

from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.maps import Convolution, LinearMap, fan_out
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Program
from snn_deploy.ir.store import ProgramFiles, dump_program, load_program
from snn_deploy.ir.trace import EVERYTHING, Trace, Values

ARRAYS = ("weight", "index", "recurrent", "recurrent_index")


def write_case(case: Case, folder: Path) -> None:
    """Write the program, the layers and the inputs into an empty folder."""
    facts = {
        "name": case.name,
        "steps": case.steps,
        "shape": case.shape,
        "constant": case.constant,
        "high": case.high,
        "layers": [_record(layer) for layer in case.layers],
    }
    (folder / "case.json").write_text(json.dumps(facts, indent=1))
    np.save(folder / "inputs.npy", case.inputs)
    for layer in case.layers:
        for key in ARRAYS:
            array = getattr(layer, key)
            if array is not None:
                np.save(folder / f"{layer.name}.{key}.npy", array)
    files = dump_program(case.program)
    (folder / "program.json").write_bytes(files.json)
    (folder / "program.npz").write_bytes(files.npz)


def _record(layer: Layer) -> dict[str, object]:
    return {
        "name": layer.name,
        "kind": layer.kind.value,
        "shape": layer.shape,
        "decay": layer.decay,
        "threshold": layer.threshold,
        "pool": layer.pool,
        "stride": layer.stride,
        "padding": layer.padding,
    }


def read_program(folder: Path) -> Program:
    """Return the program of a case folder."""
    json_file, npz_file = folder / "program.json", folder / "program.npz"
    return load_program(ProgramFiles(json=json_file.read_bytes(), npz=npz_file.read_bytes()))


def write_expected(trace: Trace, folder: Path) -> None:
    """Write what bit-exact simulators are compared with: membranes after the first sample."""
    states = {}
    for population in trace.populations:
        membrane, payload = population.membrane, population.payload
        assert membrane is not None
        assert payload is not None
        states[f"{population.name}.membrane"] = membrane[0, -1]
        states[f"{population.name}.payload"] = payload[0].astype(np.uint8)
    np.savez(folder / "expected.npz", **states)


def differences(case: Case, backend: Backend) -> list[str]:
    """Return in which states `backend` differs from the reference; nothing if it is bit-exact.

    On the first sample, or as many of its steps as the case says.
    """
    inputs = (Values(name="input", values=case.inputs[:1, : case.checked]),)
    expected, found = (
        simulator.run(case.program, inputs, EVERYTHING)
        for simulator in (ReferenceBackend(), backend)
    )
    wrong = []
    for ours, theirs in zip(found.populations, expected.populations, strict=True):
        pairs = {state.value: (ours.state(state), theirs.state(state)) for state in State}
        pairs |= {"events": (ours.events, theirs.events), "spikes": (ours.spikes, theirs.spikes)}
        wrong += [
            f"{ours.name}.{name}" for name, (a, b) in pairs.items() if not _equal(a, b)
        ]  # fmt: skip
    return wrong


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)


def counted(case: Case, trace: Trace) -> dict[str, float]:
    """Return the spikes of each layer in the first sample."""
    return {p.name: float(p.events[0].sum()) for p in trace.populations}


def synapses_of(linear: LinearMap) -> np.ndarray:
    """Return how many synapses each source has, as `fan_out` does, without unrolling kernels."""
    if not isinstance(linear, Convolution):
        return fan_out(linear)
    _, height, width = linear.out_shape
    kernel, (top, _, left, _) = linear.weight.shape, linear.padding
    reached = []
    for axis, (size, before) in enumerate(((height, top), (width, left))):
        taps = linear.dilation[axis] * np.arange(kernel[2 + axis])
        at = (linear.stride[axis] * np.arange(size)[:, None] + taps - before).ravel()
        extent = linear.source[1 + axis]
        reached.append(np.bincount(at[(at >= 0) & (at < extent)], minlength=extent))
    each = np.multiply.outer(reached[0], reached[1]) * (kernel[0] // linear.groups)
    return np.tile(each.ravel(), linear.source[0])


def operations(case: Case, trace: Trace) -> float:
    """Return the synaptic operations of the first sample: synapses that a spike or pixel used.

    Where a pixel is 0 nothing is added; other payloads count once.
    """
    sent = {"input": np.count_nonzero(case.inputs[0].reshape(case.steps, -1), axis=0)}
    sent |= {p.name: p.events[0].ravel() for p in trace.populations}
    return float(sum(sent[p.source] @ synapses_of(p.map) for p in case.program.projections))
