"""Hundreds of random networks of everything that Lava has, in real Lava: every state is equal."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from lava_networks import joined, random_case
from strategies import Case, unchecked

from snn_deploy.backends.lava import make_plan
from snn_deploy.backends.lava.plan import Connection, Neuron
from snn_deploy.backends.lava.worst import most_per_step
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.ir.kinds import WORD, Delta, Sigma, SigmaDelta
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import EVERYTHING, Trace

Equal = Callable[..., Trace]

NETWORKS = int(os.environ.get("SNN_DEPLOY_LAVA_NETWORKS", "300"))
"""How many networks run in Lava."""

AT_ONCE = 25
"""Networks of one child: its start costs as much as one or two of them."""

BATCHES = [range(first, min(first + AT_ONCE, NETWORKS)) for first in range(0, NETWORKS, AT_ONCE)]


@pytest.mark.lava
@pytest.mark.parametrize("numbers", BATCHES, ids=lambda r: f"{r[0]}..{r[-1]}")
def test_random_networks_have_every_state_in_lava(equal_in_lava: Equal, numbers: range) -> None:
    groups: dict[object, list[Case]] = {}
    for number in numbers:
        program, inputs = random_case(number)
        if numbers[0]:  # steps cost most here, and a second sample costs as many again
            inputs = tuple(replace(given, values=given.values[:1]) for given in inputs)
        groups.setdefault((program.arithmetic, program.period), []).append((program, inputs))
    for cases in groups.values():
        program, inputs = joined(cases)
        trace = equal_in_lava(program, inputs, uncounted=_wrapped_on_the_way(program))
        varied = [np.unique(p.payload).size > 1 for p in trace.populations if p.payload is not None]
        assert np.mean(varied) > 0.7


def _wrapped_on_the_way(program: Program) -> set[str]:
    """Return populations of 32 bits whose input may leave them in a connection of Lava.

    It wraps there modulo 2**32, as their registers do, so that no state differs; but it happens
    where nothing is counted, and may come back across the border where it is (network 1629).
    docs/verifying.md tells users.
    """
    wide = {p.name for p in program.populations if isinstance(p.kind, Sigma | Delta | SigmaDelta)}
    return {name for name in wide if most_per_step(program, name) > WORD.high}


def test_the_random_networks_cover_every_stock_process() -> None:
    used: Counter[Neuron | Connection] = Counter()
    most = min(NETWORKS, 300)
    for number in range(most):
        with unchecked():
            plan = make_plan(random_case(number)[0])
        used.update({item.process for item in (*plan.populations, *plan.projections)})
    print({process.value: count for process, count in used.most_common()})
    for process in {*Neuron, *Connection} - {Neuron.OWN, Connection.OWN}:
        assert used[process] >= most // 30, process


@pytest.mark.parametrize("first", [0, 40])
def test_a_joined_program_has_the_states_of_each_of_its_programs(first: int) -> None:
    cases = [random_case(number) for number in range(first, first + 8)]
    cases[1] = cases[1][0], tuple(replace(i, values=i.values[:1, :9]) for i in cases[1][1])
    with unchecked():
        together = ReferenceBackend().run(*joined(cases), EVERYTHING)
        for number, (program, inputs) in enumerate(cases):
            alone = ReferenceBackend().run(program, inputs, EVERYTHING)
            for population in alone.populations:
                found = together[f"{number}.{population.name}"]
                assert found.states.keys() == population.states.keys()
                for state, values in population.states.items():
                    samples, steps = values.shape[:2]
                    np.testing.assert_array_equal(found.states[state][:samples, :steps], values)
