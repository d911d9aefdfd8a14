"""Fine-tuning as integers: the module's states are the program's, bit for bit."""

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from networks import STEPS, random_inputs, random_network

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import QuantizeError
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import EVERYTHING, Trace, Values
from snn_deploy.quantize import Options
from snn_deploy.targets import find_target

torch = pytest.importorskip("torch")

from snn_deploy.quantize.torch import FineTune, Run, prepare  # noqa: E402 - needs torch

pytestmark = pytest.mark.torch


def shaken(tuned: FineTune, seed: int, size: float = 0.3) -> FineTune:
    """Move every trained number at random, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in tuned.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(size * noise * (parameter.abs() + 0.1))
    return tuned


def states(program: Program, inputs: tuple[Values, ...]) -> Trace:
    whole = [Values(name=v.name, values=v.values.astype(np.int32)) for v in inputs]
    return ReferenceBackend().run(program, whole, EVERYTHING)


def assert_equal(run: Run, program: Program, trace: Trace) -> None:
    """Every payload, and every membrane, of every step equals the program's, lag steps later."""
    for population in program.populations:
        if population.name not in run.records:
            continue  # a clock neuron that carries biases
        record, made = run.records[population.name], trace[population.name]
        window = slice(population.lag, population.lag + STEPS)
        for ours, theirs in ((record.payload, made.payload), (record.membrane, made.membrane)):
            assert theirs is not None
            np.testing.assert_array_equal(ours.detach().numpy().swapaxes(0, 1), theirs[:, window])


@settings(deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([2, 3, 5, 8]), chip=st.booleans())
def test_every_state_of_the_module_is_that_of_the_exported_program(seed, bits, chip):
    rng = np.random.default_rng(seed)
    network, target = random_network(rng), find_target("loihi2" if chip else "cpu")
    inputs = random_inputs(rng, network)
    try:
        tuned = prepare(network, target, options=Options(weight_bits=bits, search=False))
    except QuantizeError:
        assume(False)
    shaken(tuned, seed)
    run = tuned(*(torch.tensor(v.values) for v in inputs))
    assert_equal(run, tuned.program(), states(tuned.program(), inputs))
