"""How much faster is the event simulator than the reference? One network, one run, one ratio.

    python benchmarks/event.py

A 784-512-512-10 network of leaky neurons, 5 % of the inputs active in each of 25 steps.
"""

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.protocol import Backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import ResetKind
from snn_deploy.ir.program import Input, Population, Program, Projection, Reset
from snn_deploy.ir.trace import COUNTS, Trace, Values
from snn_deploy.targets import find_target

LAYERS = (784, 512, 512, 10)
STEPS = 25
SAMPLES = 64
INPUT_ACTIVITY = 0.05


def network(rng: np.random.Generator) -> Program:
    """Return the network; its thresholds give 5 to 15 % of activity."""
    populations, projections = [], []
    for layer, (pre, post) in enumerate(pairwise(LAYERS), 1):
        weight = 2 * rng.integers(-32, 36, (post, pre))
        populations.append(
            Population(
                name=f"layer{layer}", shape=(post,), decay=np.asarray(3700),
                threshold=np.asarray(1100 << 6), reset=Reset(kind=ResetKind.VALUE), lag=layer,
            )
        )  # fmt: skip
        projections.append(
            Projection(
                name=f"dense{layer}", source=f"layer{layer - 1}" if layer > 1 else "input",
                target=f"layer{layer}", map=Dense(weight=weight), shift=6, delay=np.asarray(1),
            )
        )  # fmt: skip
    target = find_target("loihi2")
    return Program(
        name="784-512-512-10",
        target=target.name,
        arithmetic=target.arithmetic,
        inputs=(Input(name="input", shape=(LAYERS[0],)),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="output", population=populations[-1].name),),
    )


def timed(backend: Backend, program: Program, inputs: Sequence[Values]) -> tuple[float, Trace]:
    """Return the seconds of one run, after one that compiles and warms up."""
    backend.run(program, [Values(name=v.name, values=v.values[:2]) for v in inputs], COUNTS)
    start = time.perf_counter()
    trace = backend.run(program, inputs, COUNTS)
    return time.perf_counter() - start, trace


def main() -> None:
    """Print the ratio and the synaptic operations per second."""
    rng = np.random.default_rng(1)
    program = network(rng)
    spikes = rng.random((SAMPLES, STEPS, LAYERS[0])) < INPUT_ACTIVITY
    inputs = (Values(name="input", values=spikes.astype(np.uint8)),)
    slow, expected = timed(ReferenceBackend(), program, inputs)
    fast, trace = timed(EventBackend(threads=1), program, inputs)
    operations = int(spikes.sum()) * LAYERS[1]
    for layer, post in enumerate(LAYERS[2:], 1):
        events = trace[f"layer{layer}"].events
        operations += int(events.sum()) * post
        share = events.sum() / (events.size * STEPS)
        print(f"layer{layer}: {100 * share:.1f} % active")
    assert all(
        np.array_equal(trace[p.name].events, expected[p.name].events) for p in program.populations
    )
    print(f"event on one thread : reference = 1 : {slow / fast:.1f}")
    print(f"{operations / fast / 1e6:.0f} million synaptic operations per second on one thread")


if __name__ == "__main__":
    main()
