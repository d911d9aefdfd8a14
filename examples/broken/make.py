"""Write small files into this folder: a network that works, and others that are each wrong.

    mkdir broken && cd broken && python .../examples/broken/make.py

The examples of docs/errors.md use them.
"""

from pathlib import Path

import h5py
import nir
import numpy as np

CHAIN = [("input", "fc"), ("fc", "lif"), ("lif", "output")]


def nodes(neurons: int = 3, tau: float = 2e-3, weight: np.ndarray | None = None) -> dict:
    """Return four inputs, a dense layer and neurons behind it."""
    generator = np.random.default_rng(0)
    weight = generator.normal(0, 0.6, (neurons, 4)) if weight is None else weight
    ones = np.ones(neurons)
    return {
        "input": nir.Input(input_type={"input": np.array([4])}),
        "fc": nir.Affine(weight=weight, bias=np.zeros(len(weight))),
        "lif": nir.LIF(tau=ones * tau, r=ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones),
        "output": nir.Output(output_type={"output": np.array([neurons])}),
    }


def write(name: str, made: dict, edges: list[tuple[str, str]] = CHAIN) -> None:
    """Write a NIR file that is not checked."""
    graph = nir.NIRGraph(nodes=made, edges=edges, type_check=False)
    graph.metadata = {"dt": 1e-3}
    nir.write(name, graph)


def main() -> None:
    """Write all files."""
    write("model.nir", nodes())
    write("large.nir", nodes(neurons=3000))
    write("shapes.nir", nodes(weight=np.ones((5, 4))))
    write("backwards.nir", nodes(tau=-2e-3))
    holed = np.ones((3, 4))
    holed[1, 2] = np.nan
    write("nan.nir", nodes(weight=holed))
    write("ghost.nir", nodes(), [*CHAIN, ("ghost", "lif")])
    write("unknown.nir", nodes())
    with h5py.File("unknown.nir", "r+") as file:
        del file["node/nodes/lif/type"]
        file["node/nodes/lif/type"] = "HodgkinHuxley"
    looped = nodes() | {
        "fc2": nir.Linear(weight=np.eye(3)),
        "lif2": nodes()["lif"],
        "back": nir.Linear(weight=np.full((3, 3), 0.1)),
    }
    chain = [("input", "fc"), ("fc", "lif"), ("lif", "fc2"), ("fc2", "lif2"), ("lif2", "output")]
    write("loop.nir", looped, [*chain, ("lif2", "back"), ("back", "lif")])
    Path("damaged.nir").write_bytes(b"these bytes are no NIR file")
    spikes = np.random.default_rng(1).random((8, 10, 4)) < 0.4
    np.savez("data.npz", input=spikes.astype(np.uint8), label=np.arange(8) % 3)
    np.savez("narrow.npz", input=np.zeros((2, 10, 3), np.uint8))
    np.savez("sevens.npz", input=np.full((2, 10, 4), 7, np.uint8))
    Path("chip.toml").write_text('name = "chip"\n')
    Path("prices.toml").write_text('name = "prices"\n')
    slow = Path("slow-python")
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)


if __name__ == "__main__":
    main()
