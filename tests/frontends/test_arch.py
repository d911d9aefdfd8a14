"""Architecture files: what they can say, and what is wrong with the others."""

import numpy as np
import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends.arch import build, draft, parse_architecture
from snn_deploy.frontends.layers import Cell, LayerGraph
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.codecs import Encode
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind, When

WEIGHTS = {"fc.weight": np.eye(3, dtype=np.float32), "fc.bias": np.ones(3, np.float32)}

PLAIN = """
input = [3]
[[layers]]
name = "fc"
type = "Linear"
"""


def graph(text: str, weights=WEIGHTS) -> LayerGraph:
    """Return the network of an architecture's text."""
    return build(parse_architecture(text.encode(), "network.toml"), weights)


def complaint(text: str, weights=WEIGHTS) -> str:
    """Return the whole error that an architecture's text gives."""
    with pytest.raises(ModelError) as caught:
        graph(text, weights)
    return str(caught.value)


def test_neurons_in_our_own_words_are_what_the_file_says():
    made = graph(
        PLAIN
        + """
        [[layers]]
        name = "n"
        type = "Neurons"
        decay = 0.5
        gain = 0.25
        synapse_decay = [0.25, 0.5, 0.75]
        threshold = [1.0, 2.0, 3.0]
        reset = "late-subtract"
        compare = ">="
        max_spikes = 4
        floor = -1.0
        bias = 0.125
        initial = 0.0625
        """
    )
    cell = made.nodes["n"].layer
    assert isinstance(cell, Cell)
    assert (cell.decay, cell.gain, cell.bias, cell.initial) == (0.5, 0.25, 0.125, 0.0625)
    assert cell.synapse is not None
    assert cell.synapse.decay.tolist() == [0.25, 0.5, 0.75]
    assert cell.threshold.tolist() == cell.reset.amount.tolist() == [1.0, 2.0, 3.0]
    assert (cell.reset.kind, cell.reset.when) == (ResetKind.SUBTRACT, When.NEXT)
    assert (cell.compare, cell.fires, cell.max_spikes) == (Compare.GREATER_EQUAL, Fires.COUNT, 4)
    assert cell.floor is not None
    assert cell.floor.value == -1.0


def test_a_file_says_how_the_network_is_read_and_written():
    text = (
        'dt = 0.001\ndecode = "membrane-mean"\n' + PLAIN + '[encoding]\nhow = "rate"\nsteps = 8\n'
    )
    architecture = parse_architecture(text.encode(), "network.toml")
    assert (architecture.dt, architecture.decode) == (0.001, Decode.MEMBRANE_MEAN)
    assert (architecture.encoding.how, architecture.encoding.steps) == (Encode.RATE, 8)


def test_layers_are_joined_by_name_and_fed_back():
    made = graph(
        PLAIN
        + """
        [[layers]]
        name = "n"
        type = "Neurons"
        fed_back = ["rec"]
        [[layers]]
        name = "rec"
        type = "Linear"
        [[layers]]
        name = "both"
        type = "Concatenation"
        inputs = ["n", "fc"]
        [[layers]]
        name = "out"
        type = "Neurons"
        """,
        {**WEIGHTS, "rec.weight": np.ones((3, 3), np.float32)},
    )
    assert made.nodes["n"].fed_back == ("rec",)
    assert made.nodes["both"].inputs == ("n", "fc")
    assert to_nir(made).annotation.feedback == (("n", "n"),)
    assert to_nir(made).annotation.cells["out"].shape == (6,)


def test_a_draft_names_every_tensor_once():
    tensors = {
        "conv1.weight": np.zeros((4, 1, 3, 3)),
        "lif1.beta": np.zeros(()),
        "lif1.threshold": np.ones(()),
        "rec.beta": np.zeros(()),
        "rec.recurrent.weight": np.zeros((3, 3)),
        "norm.weight": np.ones(4),
        "norm.running_mean": np.ones(4),
    }
    assert draft(tensors) == (
        'framework = "?"                # snntorch, norse, sinabs, spikingjelly or torch\n'
        "input = [?]                    # shape of one sample in one step\n"
        "\n"
        '[[layers]]\nname = "conv1"\ntype = "Conv2d"\n# weight [4, 1, 3, 3]\n\n'
        '[[layers]]\nname = "lif1"\ntype = "Leaky"\n# beta [], threshold []\n\n'
        '[[layers]]\nname = "rec"\ntype = "RLeaky"\n# beta [], recurrent.weight [3, 3]\n\n'
        '[[layers]]\nname = "norm"\ntype = "BatchNorm2d"           # ? or BatchNorm1d\n'
        "# weight [4], running_mean [4]\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "input = [3",
            "error[SNN202]: the architecture is no TOML: Unclosed array (at end of document)\n"
            "  at: network.toml",
        ),
        (
            "input = [3]",
            "error[SNN202]: an architecture has 1 to 10000 tables [[layers]]\n  at: network.toml",
        ),
        (
            '[[layers]]\nname = "fc"\ntype = "Linear"',
            "error[SNN202]: an architecture says the shape of its input\n"
            "  at: network.toml\n"
            "  fix: input = [channels, height, width], without batch and time",
        ),
        (
            PLAIN.replace("[3]", "[0]"),
            "error[SNN202]: input = [0] is no list of positive whole numbers\n  at: network.toml",
        ),
        (
            "inputs = [3]\n" + PLAIN,
            "error[SNN202]: an architecture has no entry 'inputs'\n"
            "  at: network.toml\n"
            "  fix: is 'input' meant?",
        ),
        (
            'framework = "brian"\n' + PLAIN,
            "error[SNN203]: 'brian' is no framework whose layers an architecture can name\n"
            "  at: network.toml\n"
            "  fix: one of torch, snntorch, norse, sinabs, spikingjelly",
        ),
        (
            PLAIN.replace('"Linear"', '"Linaer"'),
            "error[SNN203]: 'Linaer' is no layer of torch that an architecture can name\n"
            "  at: network.toml: fc\n"
            "  fix: is 'Linear' meant?",
        ),
        (
            PLAIN.replace('type = "Linear"', ""),
            "error[SNN203]: a state dict does not say what a layer is\n"
            "  at: network.toml: fc\n"
            "  fix: type = ..., such as AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d",
        ),
        (
            PLAIN + "stride = 2",
            "error[SNN203]: Linear has no option or tensor 'stride'\n"
            "  at: network.toml: fc\n"
            "  fix: known are bias, weight",
        ),
        (
            PLAIN.replace('"fc"', '"fc1"'),
            "error[SNN203]: no layer of the architecture has the tensor 'fc.weight'\n"
            "  at: network.toml\n"
            '  fix: name its layer, or leave it out on purpose: ignore = ["fc.weight"]',
        ),
        (
            PLAIN + 'inputs = ["fc0"]',
            "error[SNN203]: there is no layer 'fc0' before it\n"
            "  at: network.toml: fc\n"
            "  fix: there are input",
        ),
        (
            PLAIN + '[[layers]]\ntype = "Neurons"\nreset = "hard"',
            "error[SNN202]: reset = 'hard'\n"
            "  at: network.toml: 1\n"
            "  fix: one of none, value, subtract, late-value, late-subtract",
        ),
        (
            PLAIN + '[[layers]]\ntype = "Neurons"\ndecya = 0.5',
            "error[SNN202]: an architecture has no entry 'decya'\n"
            "  at: network.toml: 1\n"
            "  fix: is 'decay' meant?",
        ),
        (
            PLAIN + "[encoding]\nsteps = true",
            "error[SNN202]: steps = True is no int\n  at: network.toml: encoding",
        ),
    ],
)
def test_what_a_file_says_wrong_is_named(text, said):
    assert complaint(text) == said


def test_a_layer_whose_weights_are_missing_is_named():
    assert complaint(PLAIN, {}) == (
        "error[SNN203]: Linear needs 'weight', and neither the file of weights nor the "
        "architecture has it\n"
        "  at: network.toml: fc\n"
        "  fix: weight = ... in the architecture file"
    )
