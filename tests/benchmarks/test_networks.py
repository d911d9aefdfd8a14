"""The networks that are timed are what they say, and the checks before the clock can fail."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from snn_deploy.backends.event import EventBackend
from snn_deploy.ir.trace import COUNTS

BUILT = ("mlp", "cnn", "recurrent", "vgg")


@pytest.mark.parametrize("name", BUILT)
def test_each_layer_of_a_network_is_as_active_as_real_ones_are(name: str) -> None:
    from networks import NETWORKS

    case = NETWORKS[name]()
    trace = EventBackend(threads=1).run(case.program, case.batch(4), COUNTS)
    for layer, population in zip(case.layers, trace.populations, strict=True):
        share = population.events.sum() / (population.events.size * case.steps)
        if population.events.size > 1000:  # ten neurons in six steps say little
            assert 0.015 < share < 0.15, (layer.name, share)
        assert population.overflows < population.events.size / 100


def test_the_sparse_network_stays_at_about_one_percent_without_a_search() -> None:
    from networks import sparse_case

    case = sparse_case("small", neurons=4000, fan_in=100)
    (population,) = EventBackend(threads=1).run(case.program, case.batch(2), COUNTS).populations
    assert 0.005 < population.events.mean() / case.steps < 0.02


def test_the_same_network_comes_out_of_the_same_seeds() -> None:
    from networks import recurrent

    one, two = recurrent(), recurrent()
    assert one.program.digest == two.program.digest
    np.testing.assert_array_equal(one.inputs, two.inputs)


def test_recorded_like_input_has_as_many_events_as_n_mnist() -> None:
    from networks import cnn

    events = cnn().inputs.sum(axis=(1, 2, 3, 4))
    assert 3500 < events.mean() < 5000


def test_larger_batches_take_the_samples_again() -> None:
    from networks import recurrent

    case = recurrent()
    values = case.batch(len(case.inputs) + 1)[0].values
    np.testing.assert_array_equal(values[-1], values[0])


def test_a_right_simulator_differs_in_no_state_from_the_reference_and_a_wrong_one_does() -> None:
    from case import differences
    from networks import recurrent

    case = recurrent()
    assert differences(case, EventBackend(threads=1)) == []
    wrong = replace(case, layers=(replace(case.layers[0], threshold=600), case.layers[1]))

    class Wrong:
        def run(self, program: Any, inputs: Any, record: Any) -> Any:
            return EventBackend(threads=1).run(wrong.program, inputs, record)

    found = differences(case, Wrong())
    assert "hidden.membrane" in found
    assert "hidden.payload" in found


def test_a_case_is_read_as_it_was_written(tmp_path: Path) -> None:
    from case import read_program, write_case
    from link import Case
    from networks import cnn

    case = cnn()
    write_case(case, tmp_path)
    assert read_program(tmp_path).digest == case.program.digest
    found = Case(tmp_path)
    assert (found.steps, found.shape, found.high) == (case.steps, case.shape, case.high)
    np.testing.assert_array_equal(found.batch(2), case.inputs[:2])
    for ours, theirs in zip(case.layers, found.layers, strict=True):
        np.testing.assert_array_equal(ours.weight, theirs.weight)
        assert (ours.threshold, ours.pool) == (theirs.threshold, theirs.pool)


def test_layers_are_unrolled_into_the_synapses_of_the_program(tmp_path: Path) -> None:
    from case import write_case
    from link import Case
    from networks import cnn, linear_map
    from unrolled import sources, triplets

    from snn_deploy.ir.maps import to_sparse

    case = cnn()
    write_case(case, tmp_path)
    shape = case.shape
    for (layer, _), ours in zip(sources(Case(tmp_path)), case.layers, strict=True):
        sparse = to_sparse(linear_map(ours, shape), keep_zeros=True)
        order = np.lexsort((sparse.post, sparse.pre))
        post, pre, weight = triplets(layer, shape)
        again = np.lexsort((post, pre))
        np.testing.assert_array_equal(pre[again], sparse.pre[order])
        np.testing.assert_array_equal(post[again], sparse.post[order])
        np.testing.assert_array_equal(weight[again], sparse.weight[order])
        shape = ours.shape


def test_synapses_are_counted_without_unrolling_as_with_it() -> None:
    from case import synapses_of
    from networks import cnn, linear_map

    from snn_deploy.ir.maps import fan_out

    case = cnn()
    shape = case.shape
    for layer in case.layers:
        linear = linear_map(layer, shape)
        np.testing.assert_array_equal(synapses_of(linear), fan_out(linear))
        shape = layer.shape


def test_a_network_of_too_many_synapses_is_refused_with_their_number() -> None:
    from link import ImpossibleError
    from unrolled import check

    layer = SimpleNamespace(
        kind="convolution", weight=np.zeros((64, 3, 3, 3)), pool=2, shape=(64, 64, 64),
        recurrent=None,
    )  # fmt: skip
    with pytest.raises(ImpossibleError) as refused:
        check(SimpleNamespace(shape=(3, 128, 128), layers=[layer], high=1))
    assert str(refused.value) == (
        "it has no convolutions: 28,311,552 synapses one by one, more than 20,000,000"
    )


@pytest.fixture
def torch_as_it_was() -> Iterator[None]:
    """Undo what a peer sets for its whole process."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.mark.torch
@pytest.mark.usefixtures("torch_as_it_was")
@pytest.mark.parametrize("mode", ["layers", "steps"])
@pytest.mark.parametrize("name", ["snntorch", "norse", "sinabs", "spikingjelly"])
def test_frameworks_have_the_spikes_of_the_program(name: str, mode: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    from case import write_case
    from link import Case
    from measure import agreement
    from networks import dense_case, recurrent
    from torch_peer import Simulator

    for case, most in (
        (dense_case("small", (100, 60, 20), steps=50, rate=0.1, samples=3), 0.1),
        (recurrent(), 1.0),  # with feedback a rounded decay grows: numbers of spikes alone remain
    ):
        folder = tmp_path / case.name
        folder.mkdir()
        write_case(case, folder)
        simulator = Simulator(name, Case(folder))
        assert simulator.modes == (["layers"] if name == "sinabs" else ["layers", "steps"])
        counts = EventBackend(threads=1).run(case.program, case.batch(3), COUNTS)
        expected = counts.populations[-1].events
        spikes = {p.name: float(p.events[0].sum()) for p in counts.populations}
        assert agreement(simulator.check(), spikes).startswith("spikes of each layer")
        simulator.prepare(3, 1, mode if mode in simulator.modes else "layers")
        found = simulator.run().numpy()
        assert abs(found.sum() - expected.sum()) < 0.15 * expected.sum()
        assert np.abs(found - expected).sum() <= most * expected.sum()
