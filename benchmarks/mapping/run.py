"""Compares mappings of SANA-FE's DVS-gesture network by SANA-FE itself: our slices and its own.

    python benchmarks/mapping/run.py     makes an environment with SANA-FE, runs, prints a table

SANA-FE (GPL-3) stays in that environment and in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy.mapping import Activity, CoreMap, map_program
from snn_deploy.ir.maps import Convolution, Dense, Sparse, to_sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.program import Input, Population, Program, Projection
from snn_deploy.targets import find_target

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent.parent / ".venv-sanafe"

STEPS = 128
"""Steps of a comparison."""

CALIBRATION = 64
"""Steps whose spikes the mapping is told."""

OWN_COUNTS = (1, 4, 16, 16, 4, 1)
"""Cores of each layer in SANA-FE's tutorial 5, with equal numbers of neurons."""

SHAPES = ((1, 32, 32), (16, 15, 15), (32, 13, 13), (64, 11, 11), (11, 9, 9), (11, 1, 1))
"""Channels, height, width of each layer; SANA-FE numbers neurons in this order too, whatever the
text of its layers says (`benchmarks/energy` compares the spikes of every neuron)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    mapping: str
    cores: int
    most_axons: int
    """Most sources of a core; where kernels are shared it needs fewer axons."""

    result: dict[str, np.ndarray]


def environment() -> Path:
    """Return the Python of the environment with SANA-FE, which is made if it is not there."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        requirements = ("--requirement", HERE / "requirements.txt")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        (ENVIRONMENT / ".done").touch()
    return python


def program(weights: dict[str, np.ndarray]) -> Program:
    """Return the network as a program; its inputs are neurons on a core, as in SANA-FE."""
    names = [f"layer{number}" for number in range(len(SHAPES))]
    populations = [
        Population(name=name, shape=shape, decay=np.asarray(4096, np.int32))
        for name, shape in zip(names, SHAPES, strict=True)
    ]
    size = populations[0].size
    each = np.arange(size, dtype=np.int32)
    ones = np.ones(size, np.int32)
    maps = [Sparse(post=each, pre=each, weight=2 * ones, post_shape=(size,), pre_shape=(size,))]
    for number in range(1, 5):
        kernel = weights[f"conv{number}"].transpose(3, 2, 0, 1).astype(np.int32)
        stride = (2, 2) if number == 1 else (1, 1)
        maps.append(Convolution(weight=kernel, source=SHAPES[number - 1], stride=stride))
    dense = weights["dense1"].astype(np.int32).T
    maps.append(Dense(weight=dense))
    return Program(
        name="dvs",
        target="loihi1",
        arithmetic=find_target("loihi1").arithmetic,
        inputs=(Input(name="in", shape=(size,)),),
        populations=tuple(populations),
        projections=tuple(
            Projection(
                name=f"to-{target}",
                source=source,
                target=target,
                map=linear,
                delay=np.asarray(1, np.int32),
            )
            for source, target, linear in zip(("in", *names), names, maps, strict=False)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def own_slices() -> list[np.ndarray]:
    """Return the core of each neuron in SANA-FE's tutorial: slices of equally many neurons."""
    cores, first = [], 0
    for shape, count in zip(SHAPES, OWN_COUNTS, strict=True):
        size = int(np.prod(shape))
        place = np.minimum(np.arange(size) // (size // count), count - 1) + first
        cores.append(place)
        first += count
    return cores


def our_slices(core_map: CoreMap) -> list[np.ndarray]:
    """Return the core of each of SANA-FE's neurons, by SANA-FE's numbers of cores."""
    rows = find_target("loihi1").cores.mesh.rows.value
    sites = [[] for _ in range(128)]
    for core in core_map.cores:
        sites[core.x * rows + core.y].append(core.core)
    number = {c: 4 * tile + k for tile, held in enumerate(sites) for k, c in enumerate(held)}
    each = np.asarray([number[core.core] for core in core_map.cores])
    return [each[core_map.core_of(f"layer{n}")] for n in range(len(SHAPES))]


def most_axons(net: Program, cores: list[np.ndarray]) -> int:
    """Return the most source neurons of a core."""
    found = []
    for number, projection in enumerate(net.projections[1:], 1):
        synapses = to_sparse(projection.map, keep_zeros=True)
        pairs = np.unique(np.stack([cores[number][synapses.post], synapses.pre]), axis=1)
        found.append(int(np.unique(pairs[0], return_counts=True)[1].max()))
    return max(found)


def simulated(
    python: Path, cores: list[np.ndarray], folder: Path, steps: int
) -> dict[str, np.ndarray]:
    """Return what SANA-FE says of a mapping."""
    places, result = folder / "cores.json", folder / "result.npz"
    places.write_text(json.dumps([each.tolist() for each in cores]))
    command = [python, HERE / "child.py", places, result, str(steps)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return dict(np.load(result))


def activity(result: dict[str, np.ndarray]) -> Activity:
    """Return the rates of a run of SANA-FE."""
    shape = tuple(result["shape"])
    spikes = np.unpackbits(result["spikes"], count=int(np.prod(shape))).reshape(shape)
    rates = {"in": np.zeros(int(np.prod(SHAPES[0])))}
    for number, layer in enumerate(SHAPES):
        rates[f"layer{number}"] = spikes[number, :, : int(np.prod(layer))].mean(axis=0)
    return Activity(rates=rates)


def main() -> None:
    """Print the table; fail unless our mapping is as good as it is said to be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, nargs="*", default=[42, 60, 96, 128])
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    options = parser.parse_args()
    python = environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([python, HERE / "child.py", folder / "weights.npz"], check=True)
        net = program(dict(np.load(folder / "weights.npz")))
        told = activity(simulated(python, own_slices(), folder, CALIBRATION))
        rows = [row("SANA-FE's slices, equal neurons", net, own_slices(), python, folder)]
        for cores in options.cores:
            begun = time.perf_counter()
            core_map = map_program(net, find_target("loihi1"), told, cores=cores)
            seconds = time.perf_counter() - begun
            what = f"ours, --cores {cores} ({seconds:.1f} s)"
            rows.append(row(what, net, our_slices(core_map), python, folder))
    show(rows)
    if options.json:
        options.json.write_text(json.dumps([record(r) for r in rows], indent=2) + "\n")
    check(rows)


def row(what: str, net: Program, cores: list[np.ndarray], python: Path, folder: Path) -> Row:
    """Return the line of one mapping."""
    return Row(
        mapping=what,
        cores=np.unique(np.concatenate(cores)).size,
        most_axons=most_axons(net, cores),
        result=simulated(python, cores, folder, STEPS),
    )


def record(one: Row) -> dict[str, Any]:
    """Return the numbers of a line."""
    numbers = {
        key: float(one.result[key])
        for key in ("operations", "fired", "messages", "energy", "network", "detailed", "simple")
    }
    return {"mapping": one.mapping, "cores": one.cores, "most_axons": one.most_axons, **numbers}


HEADER = (
    *("mapping", "cores", "messages", "energy uJ"),
    *("us a step, detailed", "simple", "most sources of a core"),
)


def show(rows: list[Row]) -> None:
    """Print the table."""
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for one in rows:
        numbers = record(one)
        detailed, simple = (1e6 * numbers[key] / STEPS for key in ("detailed", "simple"))
        print(
            f"| {one.mapping} | {one.cores} | {numbers['messages']:.0f} "
            f"| {1e6 * numbers['energy']:.2f} | {detailed:.2f} | {simple:.2f} | {one.most_axons} |"
        )


def check(rows: list[Row]) -> None:
    """Fail where spikes differ, or a step does not take a tenth less time at equal cores."""
    own = rows[0]
    for one in rows[1:]:
        if not np.array_equal(one.result["spikes"], own.result["spikes"]):
            raise SystemExit(f"{one.mapping}: other spikes")
        simple, detailed = (
            1 - float(one.result[key]) / float(own.result[key]) for key in ("simple", "detailed")
        )
        if one.cores == own.cores:
            print(
                f"\nless time per step at {own.cores} cores: {simple:.1%} (detailed {detailed:.1%})"
            )
            if min(simple, detailed) < 0.1:
                raise SystemExit("less than 10 %")


if __name__ == "__main__":
    main()
