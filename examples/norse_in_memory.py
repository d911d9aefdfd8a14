"""Deploy a norse module from Python, without any file in between.

Needs torch and norse (`pip install --no-deps norse==1.1.0`). The weights are random but seeded:
the point is that the module, the network we read and the integers on the chip can be compared.
"""

import numpy as np
import torch
from norse.torch import (
    LICell,
    LIFBoxCell,
    LIFBoxParameters,
    LIFCell,
    LIFParameters,
    SequentialState,
)
from norse.torch.functional.reset import reset_subtract

import snn_deploy
from snn_deploy.frontends import load
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Values

SAMPLES, STEPS, INPUTS = 8, 50, 24


def build() -> SequentialState:
    """Return two spiking layers, of two kinds of neuron, and a leaky readout of five classes."""
    torch.manual_seed(0)
    soft = LIFBoxParameters(v_th=torch.tensor(0.2), reset_method=reset_subtract)
    return SequentialState(
        torch.nn.Linear(INPUTS, 32),
        LIFBoxCell(soft),
        torch.nn.Linear(32, 16),
        LIFCell(LIFParameters(v_th=torch.tensor(0.1))),
        torch.nn.Linear(16, 5),
        LICell(),
    )


def hidden_spikes(module: SequentialState, spikes: np.ndarray) -> np.ndarray:
    """Return what norse's second layer of neurons sends, [sample, step, neuron]."""
    module.eval()
    module.return_hidden = True
    state, sent = None, []
    with torch.no_grad():
        for step in range(STEPS):
            layers, state = module(torch.from_numpy(spikes[:, step]).float(), state)
            sent.append(layers[3].numpy())
    module.return_hidden = False
    return np.stack(sent, axis=1)


def main() -> None:
    """Read the module, compare its spikes, deploy it, verify the integers."""
    module = build()
    spikes = np.random.default_rng(1).integers(0, 2, (SAMPLES, STEPS, INPUTS), dtype=np.uint8)

    network = load(module).network
    trace = simulate(network, [Values(name="input", values=spikes)])
    expected = hidden_spikes(module, spikes)
    ours = trace["3"].payload
    assert ours is not None
    assert expected.any()
    assert np.array_equal(ours, expected)
    print(f"norse sends {expected.sum():.0f} spikes in its last layer, and so do we")

    deployment = snn_deploy.export(module, target="loihi", name="in-memory")
    for finding in deployment.findings:
        print(finding)

    verification = snn_deploy.verify(deployment, input=spikes, against="reference")
    print(verification)
    assert verification.equal


if __name__ == "__main__":
    main()
