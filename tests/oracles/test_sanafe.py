"""Energy and time equal those of SANA-FE 2.2.9 on its own Loihi, event by event."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snn_deploy.deploy.energy import SYNAPTIC, Event

Oracle = Callable[[str, str], Callable[[Any], dict[str, np.ndarray]]]
CASES = Path(__file__).parents[2] / "benchmarks" / "energy" / "cases.py"


@pytest.fixture(scope="module")
def cases() -> ModuleType:
    spec = importlib.util.spec_from_file_location("energy_cases", CASES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["energy_cases"] = module
    spec.loader.exec_module(module)
    return module


def test_counts_energy_and_time_are_those_of_sanafe(oracle: Oracle, cases: ModuleType) -> None:
    networks = cases.small_cases()[2:]
    assert [one.name for one in networks] == ["hidden layers on two cores each", "convolutional"]
    said = oracle("sanafe", "run_sanafe.py")([one.record() for one in networks])
    for case in networks:
        found, trace = case.estimate()

        def total(*events: Event, found: Any = found) -> float:
            return sum(layer.count.counts.get(e, 0) for layer in found.layers for e in events)

        for population in case.program.populations:
            ours = trace[population.name].payload[0].reshape(len(case.spikes), -1) != 0
            assert np.array_equal(ours, said[f"{case.name}/spikes/{population.name}"])
        given = case.spikes.sum()  # SANA-FE counts its input neurons too
        assert total(*SYNAPTIC) == said[f"{case.name}/operations"]
        assert total(Event.SPIKE) + given == said[f"{case.name}/fired"]
        assert total(Event.NEURON_UPDATE) + given == said[f"{case.name}/updated"]
        assert total(Event.MESSAGE) == said[f"{case.name}/messages"]
        hops = total(Event.HOP_EAST_WEST, Event.HOP_NORTH_SOUTH)
        assert hops == said[f"{case.name}/hops"]
        energy, simple, detailed = (
            float(said[f"{case.name}/{key}"]) for key in ("energy/total", "simple", "detailed")
        )
        assert found.dynamic == pytest.approx(energy, rel=1e-12)
        assert found.latency.sample.value == pytest.approx(simple, rel=1e-12)
        assert found.latency.queued == pytest.approx(detailed, rel=0.01)
