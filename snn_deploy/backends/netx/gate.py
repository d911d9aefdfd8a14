"""How a bias that starts late is kept by netx: its periodic reset clears the steps before.

A LIF of netx adds its bias from step 0 on. With `reset_interval` and `reset_offset` = r, the layer
of number l, from 0, sets u and v to 0 at the start of step r + l, and of each step an interval
later (lava-nc 0.10.0, proc/lif/models.py: PyLifResetModelBitAcc; lava-dl 0.6.0, netx/hdf5.py). A
program whose layers start one step after another starts just then.
"""

from dataclasses import replace

import numpy as np

from snn_deploy.backends.netx.chain import Chain, Link
from snn_deploy.backends.netx.features import LAVA
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Bias, Program
from snn_deploy.ir.trace import Recording, Values


def reset_offset(program: Program, chain: Chain) -> int | None:
    """Return the `reset_offset` that a file needs; None: its biases act from step 0 on.

    Raises:
        UnsupportedError: no reset keeps the biases as they are.
    """
    late = {number: link for number, link in enumerate(chain.links) if link.start > 0}
    if not late:
        return None
    for link in late.values():
        if link.start != link.population.lag:
            raise UnsupportedError(
                f"its bias starts in step {link.start}, {link.start - link.population.lag} after "
                "the layer itself; netx's LIF has no such start",
                where=link.population.name,
                fix=LAVA,
            )
    offset = min(link.start - number for number, link in late.items())
    for number, link in enumerate(chain.links):
        if not _keeps(link, number, offset + number):
            raise UnsupportedError(
                f"it starts in step {link.population.lag}, and netx's reset, which can start "
                f"layers with late biases, comes to it in step {offset + number}",
                where=link.population.name,
                fix=f"train without biases; or {LAVA}",
            )
    _check_early_spikes(program, chain, offset)
    return offset


def _keeps(link: Link, number: int, step: int) -> bool:
    """Return whether a reset at the start of `step` clears what must be cleared, and no more."""
    if np.any(link.bias):
        return link.start == step >= 0
    return 0 <= step <= link.population.lag


def _check_early_spikes(program: Program, chain: Chain, offset: int) -> None:
    """Refuse spikes from before a reset that arrive behind one.

    What happens before the resets depends on no input, which arrives behind them.
    """
    starts = {link.population.name: offset + n for n, link in enumerate(chain.links)}
    fired = _before(program, chain, max(starts.values()))
    for projection in chain.projections:
        source, target = projection.source, projection.target
        if source not in fired:
            continue
        steps = np.flatnonzero(fired[source][: starts[source]]).tolist()
        late = [s for s in steps if s + int(projection.delay.max(initial=0)) >= starts[target]]
        if late:
            raise UnsupportedError(
                f"its bias makes {source} fire in step {late[0]}, before it starts, and that "
                f"arrives when {target} has started; netx's reset leaves spikes under way",
                where=projection.name,
                fix=f"train without biases; or {LAVA}",
            )


def _before(program: Program, chain: Chain, steps: int) -> dict[str, np.ndarray]:
    """Return in which of the first steps each layer fires when its bias acts from step 0 on."""
    populations = tuple(
        replace(link.population, lag=0, biases=(Bias(value=link.bias),)) for link in chain.links
    )
    plain = replace(program, populations=populations, projections=chain.projections)
    silence = Values(name=chain.entry.name, values=np.zeros((1, steps, *chain.entry.shape), int))
    low, high = chain.entry.low, chain.entry.high
    entry = replace(chain.entry, low=min(low, 0), high=max(high, 0))
    payload = Recording(states=frozenset({State.PAYLOAD}))
    trace = ReferenceBackend().run(replace(plain, inputs=(entry,)), (silence,), payload)
    fired = {}
    for population in trace.populations:
        assert population.payload is not None
        fired[population.name] = population.payload[0].reshape(steps, -1).any(axis=1)
    return fired
