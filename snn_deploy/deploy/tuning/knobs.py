"""Which knobs a network has, and how far they turn."""

import numpy as np

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import runs
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.early_exit import EarlyExit, check_early_exit, leads, so_far
from snn_deploy.deploy.thresholds import spiking
from snn_deploy.deploy.tuning.measuring import Bench
from snn_deploy.deploy.tuning.setting import Knob
from snn_deploy.deploy.tuning.space import Space
from snn_deploy.deploy.tuning.wanted import Wanted
from snn_deploy.errors import OptionError
from snn_deploy.frontends import Imported
from snn_deploy.ir.codecs import Encode, needs
from snn_deploy.ir.trace import Recording
from snn_deploy.targets import find_target


def space_of(plain: Deployment, found: Imported, bench: Bench, wanted: Wanted) -> Space:
    """Return what can be turned of a network.

    Raises:
        OptionError: a knob is asked for that it does not have.
    """
    network, program = found.network, plain.program
    weighted = {p.target for p in network.projections}
    layers = tuple(p.name for p in network.populations if p.name in weighted)
    movable = spiking(found)
    lacks: dict[Knob, str] = {}
    if plain.encoding.how is Encode.RECORDED:
        lacks[Knob.STEPS] = "recorded data has its own number of steps"
    if not movable:
        lacks[Knob.THRESHOLDS] = "no layer has a threshold that can be moved"
    steps, lead = 0, 1.0
    try:
        check_early_exit(EarlyExit(lead=1), program)
        steps, lead = _lead(plain, bench.data)
    except OptionError as problem:
        lacks[Knob.EXIT] = problem.message
    if steps == 0:
        steps = plain.encoding.steps or bench.data.arrays[0].values.shape[1]
    for knob in wanted.knobs or ():
        if knob in lacks:
            raise OptionError(
                lacks[knob],
                where=f"--knobs {knob.value}",
                fix=f"--knobs {','.join(k.value for k in Knob if k not in lacks)}",
            )
    return Space(
        knobs=frozenset(knob for knob in wanted.knobs or Knob if knob not in lacks),
        layers=layers,
        most_bits=find_target(bench.request.target).weights.bits.value,
        spiking=movable,
        steps=steps,
        lead=lead,
        per_layer=wanted.per_layer,
    )


LEAD_SAMPLES = 200
"""Samples that the usual lead is measured on."""


def _lead(plain: Deployment, data: Data) -> tuple[int, float]:
    """Return the steps of a sample, and the median lead after all of them; at least a trifle."""
    program = plain.program
    output = program.outputs[0]
    state = frozenset({needs(output.decode)})
    record = Recording(states=state, populations=(output.population,))
    found: list[np.ndarray] = []
    steps = 0
    for block in runs.blocks(data.spread(LEAD_SAMPLES), plain, program.nodes[0].size):
        trace = find_backend("event").run(program, block.inputs, record)
        steps = block.steps
        found.append(leads(so_far(program, output, trace, block))[:, -1])
    middle = float(np.median(np.concatenate(found)))
    return steps, float(f"{middle:.6g}") or 1.0
