"""Who wrote a NIR file, and its step: guessed from numbers that agree, and from no others."""

import nir
import numpy as np
import pytest

from snn_deploy.frontends.nir import Dialect
from snn_deploy.frontends.nir.dialects import derived_dt, guess_dialect, unscaled_dt


def leaky(tau: list[float], r: list[float]) -> nir.LIF:
    ones = np.ones(len(tau))
    return nir.LIF(
        tau=np.array(tau), r=np.array(r), v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones
    )


def integrating(*r: float) -> nir.IF:
    ones = np.ones(len(r))
    return nir.IF(r=np.array(r), v_threshold=ones, v_reset=0 * ones)


@pytest.mark.parametrize(
    ("nodes", "dialect"),
    [
        ([integrating(1, 1)], Dialect.SINABS),
        ([integrating(1e4, 1e4)], Dialect.SPIKINGJELLY),
        ([integrating(3, 3)], Dialect.NIR),
        ([integrating(3), leaky([0.02], [200.0])], Dialect.SNNTORCH),
        ([leaky([0.02], [20.0])], Dialect.NIR),
        ([], Dialect.NIR),
    ],
)
def test_a_dialect_is_guessed_from_its_resistances(nodes, dialect):
    assert guess_dialect({str(i): node for i, node in enumerate(nodes)}).dialect is dialect


@pytest.mark.parametrize(
    ("nodes", "dt"),
    [
        ([leaky([0.02, 0.03], [200.0, 300.0])], 1e-4),
        ([leaky([0.02], [200.0]), leaky([0.03], [200.0])], None),
        ([leaky([0.02], [200.0]), leaky([0.03], [-1.0])], 1e-4),
        ([leaky([0.02], [-200.0])], None),
        ([leaky([-0.02], [200.0])], None),
        ([leaky([np.inf], [200.0])], None),
        ([leaky([], [])], None),
        ([leaky([0.02], [1.0])], None),
        ([], None),
    ],
)
def test_a_step_is_the_one_that_all_neurons_agree_on(nodes, dt):
    assert unscaled_dt({str(i): node for i, node in enumerate(nodes)}) == dt


@pytest.mark.parametrize("dialect", [Dialect.SPIKINGJELLY, Dialect.ROCKPOOL, Dialect.SPYX])
def test_a_file_without_neurons_of_a_dialect_does_not_say_its_step(dialect):
    assert derived_dt(dialect, {}) is None


def test_steps_of_a_dialect_come_back_from_what_its_exporter_writes():
    dt, tau = 1e-3, np.array([0.02, 0.05])
    rockpool = leaky(tau.tolist(), (tau / dt * np.exp(-dt / tau)).tolist())
    spyx = leaky(tau.tolist(), (1 - dt / tau).tolist())
    assert derived_dt(Dialect.ROCKPOOL, {"n": rockpool}) == dt
    assert derived_dt(Dialect.SPYX, {"n": spyx}) == dt
    assert derived_dt(Dialect.SPIKINGJELLY, {"n": integrating(1e3, 1e3)}) == dt
