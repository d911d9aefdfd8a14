"""Architecture files: what they can say, and what is wrong with the others."""

import numpy as np
import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends.arch import build, draft
from snn_deploy.frontends.arch.file import LARGEST_FILE, parse_architecture
from snn_deploy.frontends.layers import Cell, Convolution, LayerGraph, Linear, Scale
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.frontends.torch_file import Stub, set_state
from snn_deploy.ir.codecs import Encode
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind, When

WEIGHTS = {"fc.weight": np.eye(3, dtype=np.float32), "fc.bias": np.ones(3, np.float32)}

PLAIN = """
input = [3]
[[layers]]
name = "fc"
type = "Linear"
"""


NEURONS = PLAIN + '[[layers]]\ntype = "Neurons"\n'
LEAKY = PLAIN + '[[layers]]\ntype = "snntorch.Leaky"\nbeta = 0.5\n'
LIF = PLAIN + '[[layers]]\ntype = "sinabs.LIF"\n'


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
        "cell.input_weights": np.ones((3, 3)),
        "cell.recurrent_weights": np.ones((3, 3)),
    }
    assert draft(tensors) == (
        'framework = "?"                # snntorch, norse, sinabs, spikingjelly or torch\n'
        "input = [?]                    # shape of one sample in one step\n"
        "\n"
        '[[layers]]\nname = "conv1"\ntype = "Conv2d"\n# weight [4, 1, 3, 3]\n\n'
        '[[layers]]\nname = "lif1"\ntype = "Leaky"\n# beta [], threshold []\n\n'
        '[[layers]]\nname = "rec"\ntype = "RLeaky"\n# beta [], recurrent.weight [3, 3]\n\n'
        '[[layers]]\nname = "norm"\ntype = "BatchNorm2d"           # ? or BatchNorm1d\n'
        "# weight [4], running_mean [4]\n\n"
        '[[layers]]\nname = "cell"\ntype = "LIFRecurrentCell"      # ? or LIFRecurrent\n'
        "# input_weights [3, 3], recurrent_weights [3, 3]\n"
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
            PLAIN + '[[layers]]\nname = "n"\ntype = "Neurons"\nreset = "subtract"\nreset_to = 1',
            "error[SNN202]: reset_to means nothing with reset = 'subtract'\n"
            "  at: network.toml: n\n"
            "  fix: leave it out",
        ),
        (
            PLAIN + '[[layers]]\ntype = "Neurons"\nfires = false\nthreshold = 2.0',
            "error[SNN202]: threshold means nothing with fires = false\n"
            "  at: network.toml: 1\n"
            "  fix: leave it out",
        ),
        (
            PLAIN + '[[layers]]\ntype = "Sum"\nweight = 3',
            "error[SNN202]: an architecture has no entry 'weight'\n"
            "  at: network.toml: 1\n"
            "  fix: it has none",
        ),
        (
            PLAIN + '[[layers]]\ntype = "Concatenation"\naxes = 1',
            "error[SNN202]: an architecture has no entry 'axes'\n"
            "  at: network.toml: 1\n"
            "  fix: is 'axis' meant?",
        ),
        (
            PLAIN + "inputs = []",
            "error[SNN202]: inputs = [] names no layer\n"
            "  at: network.toml: fc\n"
            "  fix: leave it out: a layer reads the one before it",
        ),
        (
            PLAIN + '[[layers]]\ntype = "MaxPool2d"\nkernel_size = "x"',
            "error[SNN202]: kernel_size = 'x' is not a whole number, or a list of them\n"
            "  at: network.toml: 1",
        ),
        (
            PLAIN + '[[layers]]\ntype = "MaxPool2d"\nkernel_size = [2, 2, 2]',
            "error[SNN203]: [2, 2, 2] has not one whole number for each axis\n  at: 1.kernel_size",
        ),
        (
            PLAIN + '[[layers]]\ntype = "Upsample"',
            "error[SNN203]: Upsample with neither size nor scale_factor, or with both\n"
            "  at: 1\n"
            "  fix: give one of them",
        ),
        (
            PLAIN + '[[layers]]\ntype = "snntorch.Leaky"\nbeta = [[0.5], [0.5, 0.5]]',
            "error[SNN202]: beta = [[0.5], [0.5, 0.5]] is not a number, or lists of numbers\n"
            "  at: network.toml: 1",
        ),
        (
            PLAIN + '[[layers]]\ntype = "snntorch.Leaky"\nbeta = 0.5\nreset_mechanism_val = 7',
            "error[SNN203]: reset_mechanism_val is 7, which names no reset\n"
            "  at: 1\n"
            "  fix: one of 0 (subtract), 1 (zero), 2 (none)",
        ),
        (
            PLAIN + '[[layers]]\ntype = "spikingjelly.IFNode"\nsoft_reset = true\nv_reset = 0.5',
            "error[SNN203]: v_reset means nothing with soft_reset = true\n"
            "  at: network.toml: 1\n"
            "  fix: leave one of them out",
        ),
        (
            PLAIN + '[[layers]]\ntype = "sinabs.IAF"\nsubtract_value = 1.0\n'
            'reset_fn = "MembraneReset"',
            "error[SNN203]: subtract_value means nothing with spike_fn = 'MultiSpike' and "
            "reset_fn = 'MembraneReset'\n"
            "  at: network.toml: 1\n"
            "  fix: leave it out",
        ),
        (
            "dt = 0x" + "f" * 400 + PLAIN,
            "error[SNN202]: a whole number of 1600 bits; TOML has 64\n  at: network.toml",
        ),
        (
            PLAIN + "[encoding]\nsteps = true",
            "error[SNN202]: steps = True is no int\n  at: network.toml: encoding",
        ),
        ("dt = -1" + PLAIN, "error[SNN202]: dt = -1 is no time\n  at: network.toml"),
        (
            "ignore = [1]" + PLAIN,
            "error[SNN202]: ignore = [1] is no list of names\n  at: network.toml",
        ),
        (
            PLAIN + "bias = [1, 2, 3]",
            "error[SNN203]: the file of weights and the architecture both say 'bias'\n"
            "  at: network.toml: fc\n"
            "  fix: leave it out of the architecture",
        ),
        (
            NEURONS + "decay = nan",
            "error[SNN202]: decay = nan is no number\n  at: network.toml: 1",
        ),
        (
            NEURONS + "[[layers.tables]]\nrows = [1.0]",
            "error[SNN202]: a table says what it replaces\n"
            "  at: network.toml: 1: tables[0]\n"
            "  fix: what = one of threshold, lower, gain, bias, payload",
        ),
        (
            NEURONS + '[[layers.tables]]\nwhat = "bias"\nrows = 1.0',
            "error[SNN202]: a table has a row for each step\n"
            "  at: network.toml: 1: tables[0]\n"
            "  fix: rows = [1.0, 0.5, ...]",
        ),
        (
            NEURONS + "biases = [1.0]",
            "error[SNN202]: biases is a list of tables\n  at: network.toml: 1",
        ),
        (
            NEURONS + 'refractory = "twice"',
            "error[SNN202]: refractory = 'twice'\n"
            "  at: network.toml: 1\n"
            '  fix: a number of steps, or "once"',
        ),
        (
            NEURONS + "window = [1, 2, 3]",
            "error[SNN202]: window = [1, 2, 3] is no pair of steps\n  at: network.toml: 1",
        ),
        (
            LEAKY + 'reset_mechanism = "zeros"',
            "error[SNN203]: reset_mechanism is 'zeros'\n"
            "  at: network.toml: 1\n"
            "  fix: one of subtract, zero, none",
        ),
        (
            LEAKY + 'reset_mechanism = "zero"\nreset_mechanism_val = 2',
            "error[SNN203]: reset_mechanism is 'zero' in the architecture, but 'none' in the file "
            "of weights\n"
            "  at: network.toml: 1\n"
            "  fix: leave it out of the architecture",
        ),
        (
            LEAKY.replace("Leaky", "RLeaky"),
            "error[SNN203]: a recurrent layer needs the tensors 'recurrent.weight' or 'V', and "
            "the file of weights has neither\n"
            "  at: network.toml: 1",
        ),
        (
            LEAKY.replace("Leaky", "RLeaky") + "[layers.recurrent]\nweight = [1, 2, 3]",
            "error[SNN203]: it is neither Linear nor a convolution\n"
            "  at: network.toml: 1.recurrent",
        ),
        (
            LEAKY.replace("Leaky", "RLeaky") + "[layers.recurrent]\npadding = 1",
            "error[SNN203]: it is neither Linear nor a convolution\n"
            "  at: network.toml: 1.recurrent",
        ),
        (
            LIF + "tau_mem = 20.0\nalpha_mem = 0.5",
            "error[SNN203]: both time constants and decays (alpha_mem, alpha_syn) are given\n"
            "  at: network.toml: 1\n"
            "  fix: leave the time constants out: a layer with train_alphas has none",
        ),
        (
            LIF,
            "error[SNN203]: a leaky layer needs 'tau_mem' or 'alpha_mem', and neither the file of "
            "weights nor the architecture has it\n"
            "  at: network.toml: 1\n"
            "  fix: tau_mem = ... in the architecture file",
        ),
        (
            PLAIN + '[[layers]]\ntype = "Upsample"\nscale_factor = ["x"]',
            "error[SNN202]: scale_factor = ['x'] is not a number, or a list of numbers\n"
            "  at: network.toml: 1",
        ),
    ],
)
def test_what_a_file_says_wrong_is_named(text, said):
    assert complaint(text) == said


def test_a_file_that_is_far_too_large_is_not_read():
    assert complaint("#" * (LARGEST_FILE + 1)) == (
        f"error[SNN202]: an architecture of more than {LARGEST_FILE} bytes is not read\n"
        "  at: network.toml\n"
        "  fix: SNN_DEPLOY_LIMITS=2 raises all limits on sizes, for a file that you trust"
    )


def test_a_tensor_where_a_word_or_a_whole_number_belongs_is_named():
    weights = {"fc.weight": np.ones((2, 3, 1), np.float32), "fc.stride": np.ones(1, np.float32)}
    text = PLAIN.replace("[3]", "[3, 4]").replace("Linear", "Conv1d")
    assert complaint(text, weights) == (
        "error[SNN202]: stride is a tensor of float32, not a whole number, or a list of them\n"
        "  at: network.toml: fc"
    )


@pytest.mark.parametrize(
    ("said", "kind", "amount"),
    [
        ("", ResetKind.SUBTRACT, 1.0),
        ('reset_mechanism = "subtract"', ResetKind.SUBTRACT, 1.0),
        ('reset_mechanism = "zero"', ResetKind.VALUE, 0.0),
        ('reset_mechanism = "zero"\nreset_mechanism_val = 1', ResetKind.VALUE, 0.0),
        ('reset_mechanism = "none"', ResetKind.NONE, 0.0),
    ],
)
def test_a_reset_of_snntorch_may_be_said_by_its_name(said, kind, amount):
    cell = graph(LEAKY + said).nodes["1"].layer
    assert isinstance(cell, Cell)
    assert cell.reset.kind is kind
    assert np.all(cell.reset.amount == amount)


def test_recurrent_weights_may_stand_in_the_file_itself():
    text = LEAKY.replace("Leaky", "RLeaky") + "[layers.recurrent]\n"
    made = graph(text + "weight = [[1, 0, 0], [0, 2, 0], [0, 0, 3]]")
    back = made.nodes["1.recurrent"].layer
    assert isinstance(back, Linear)
    np.testing.assert_array_equal(back.weight, np.diag([1.0, 2.0, 3.0]))


def test_options_of_recurrent_weights_join_their_tensors():
    text = 'input = [2, 4, 4]\n[[layers]]\nname = "r"\ntype = "snntorch.RLeaky"\nbeta = 0.5\n'
    made = graph(
        text + "[layers.recurrent]\npadding = [1, 0]",
        {"r.recurrent.weight": np.ones((2, 2, 3, 1), np.float32)},
    )
    kernel = made.nodes["r.recurrent"].layer
    assert isinstance(kernel, Convolution)
    assert (kernel.weight.shape, kernel.padding) == ((2, 2, 3, 1), (1, 0))


def test_sinabs_neurons_may_send_a_bounded_number_of_spikes():
    text = LIF + 'tau_mem = 20.0\nspike_fn = "MaxSpike"\nmax_num_spikes_per_bin = 3'
    cell = graph(text).nodes["1"].layer
    assert isinstance(cell, Cell)
    assert (cell.fires, cell.max_spikes) == (Fires.COUNT, 3)


def test_current_based_neurons_of_spikingjelly_have_a_synapse():
    text = PLAIN + '[[layers]]\ntype = "spikingjelly.CUBALIFNode"\nc_decay = 0.5\nv_decay = 0.25'
    cell = graph(text).nodes["1"].layer
    assert isinstance(cell, Cell)
    assert cell.synapse is not None
    assert (cell.synapse.decay, cell.synapse.initial) == (0.5, 0.0)


def test_an_image_is_made_larger_by_a_factor():
    made = graph('input = [1, 2, 2]\n[[layers]]\ntype = "Upsample"\nscale_factor = 2', {})
    assert to_nir(made).graph.nodes["output"].output_type["output"].tolist() == [1, 4, 4]


def test_several_inputs_of_a_layer_with_weights_add_up():
    made = graph(
        PLAIN + '[[layers]]\nname = "n"\ntype = "snntorch.Leaky"\nbeta = 0.5\n'
        'inputs = ["input", "fc"]'
    )
    assert made.nodes["n.sum"].inputs == ("input", "fc")
    assert made.nodes["n"].inputs == ("n.sum",)


def test_a_layer_whose_weights_are_missing_is_named():
    assert complaint(PLAIN, {}) == (
        "error[SNN203]: Linear needs 'weight', and neither the file of weights nor the "
        "architecture has it\n"
        "  at: network.toml: fc\n"
        "  fix: weight = ... in the architecture file"
    )


def test_a_whole_number_of_thousands_of_digits_is_refused():
    assert "error[SNN202]: the architecture is no TOML" in complaint("dt = " + "9" * 5000 + PLAIN)


def test_a_tensor_that_nobody_reads_is_named_even_if_a_layer_has_its_name():
    text = PLAIN + '[[layers]]\nname = "lif"\ntype = "Neurons"'
    assert complaint(text, {**WEIGHTS, "lif.beta": np.array(0.5, np.float32)}) == (
        "error[SNN203]: a layer of type Neurons has no tensors, but there is 'lif.beta'\n"
        "  at: network.toml\n"
        "  fix: give the layer the type of its framework, or leave it out on purpose: "
        'ignore = ["lif.beta"]'
    )


def test_a_tensor_of_a_layer_may_be_ignored():
    weights = {**WEIGHTS, "fc.extra": np.ones(3)}
    assert complaint(PLAIN, weights) == (
        "error[SNN203]: Linear has no option or tensor 'extra'\n"
        "  at: network.toml: fc\n"
        "  fix: known are bias, weight"
    )
    assert list(graph('ignore = ["fc.extra"]' + PLAIN, weights).nodes) == ["fc"]


def test_a_list_of_numbers_has_one_for_each_channel():
    text = 'input = [2, 2, 2]\n[[layers]]\ntype = "Neurons"\nthreshold = [1.0, 2.0]'
    cell = graph(text, {}).nodes["0"].layer
    assert isinstance(cell, Cell)
    threshold = np.broadcast_to(cell.population("n", (2, 2, 2)).threshold, (2, 2, 2))
    np.testing.assert_array_equal(threshold[:, 1, 0], [1.0, 2.0])


# ------------------------------------------------------------ pickled modules


def record(path: str, **attributes) -> Stub:
    """Return the record of a pickled object."""
    stub = Stub(path)
    set_state(stub, attributes)
    return stub


def dense(**attributes) -> Stub:
    kept = {"weight": WEIGHTS["fc.weight"], "bias": None, "_modules": {}, **attributes}
    return record("torch.nn.modules.linear.Linear", **kept)


NAMED = 'input = [3]\n[[layers]]\nname = "fc"\n'


def test_every_part_of_a_pickled_module_is_a_layer_or_left_out_on_purpose():
    weights = {"weight": WEIGHTS["fc.weight"]}
    other = dense(_parameters=weights)
    root = record("mine.Net", _modules={"fc": dense(), "fc2": other})
    assert complaint(NAMED, root) == (
        "error[SNN203]: no layer of the architecture is the part 'fc2' of the pickled module, a "
        "torch.nn.modules.linear.Linear\n"
        "  at: network.toml\n"
        '  fix: name it, or leave it out on purpose: ignore = ["fc2"]'
    )
    assert list(graph('ignore = ["fc2"]\n' + NAMED, root).nodes) == ["fc"]


def test_a_part_that_is_there_twice_needs_one_name():
    shared = dense()
    root = record("mine.Net", _modules={"first": shared, "fc": shared})
    assert list(graph(NAMED, root).nodes) == ["fc"]


def test_neurons_in_our_own_words_do_not_replace_a_part_of_a_pickled_module():
    root = record("mine.Net", _modules={"fc": dense()})
    assert complaint(NAMED + 'type = "Neurons"', root) == (
        "error[SNN203]: the pickled module has a part of this name, a "
        "torch.nn.modules.linear.Linear\n"
        "  at: network.toml: fc\n"
        "  fix: leave the type and the options out, or give the layer another name"
    )


def test_a_part_that_a_pickled_module_has_not_is_named():
    root = record("mine.Net", _modules={"body": record("mine.Body", _modules={"fc": dense()})})
    assert complaint(NAMED.replace("fc", "body.fc2") + "[[layers]]\nname = 'body.fc'", root) == (
        "error[SNN203]: the pickled module has no part 'body.fc2'\n"
        "  at: network.toml: body.fc2\n"
        "  fix: it has fc"
    )


def test_a_pickled_module_says_itself_what_its_parts_are():
    root = record("mine.Net", _modules={"fc": dense()})
    assert complaint(NAMED + 'type = "Linear"', root) == (
        "error[SNN203]: the pickled module says what this layer is; the architecture only joins "
        "it\n"
        "  at: network.toml: fc\n"
        "  fix: leave its type and options out"
    )


def test_neurons_in_our_own_words_may_stand_between_parts_of_a_pickled_module():
    root = record("mine.Net", _modules={"fc": dense()})
    made = graph(NAMED + '[[layers]]\nname = "n"\ntype = "Neurons"', root)
    assert [type(node.layer) for node in made.nodes.values()] == [Linear, Cell]


def test_a_record_that_lacks_an_attribute_is_a_damaged_file():
    linear = record("torch.nn.modules.linear.Linear", weight=WEIGHTS["fc.weight"])
    assert complaint(NAMED, record("mine.Net", _modules={"fc": linear})) == (
        "error[SNN202]: the record of a Linear is not what its class makes: 'Linear' object of "
        "the file has no attribute 'bias'\n"
        "  at: fc"
    )


@pytest.mark.parametrize(
    ("path", "homes"),
    [
        ("torch.ao.nn.qat.modules.linear.Linear", "the Linear of torch.nn.modules"),
        (
            "spikingjelly.clock_driven.neuron.IFNode",
            "the IFNode of spikingjelly.activation_based",
        ),
    ],
)
def test_a_class_of_the_same_name_in_another_module_is_not_read(path, homes):
    pytest.importorskip("torch")
    assert complaint(NAMED, record("mine.Net", _modules={"fc": record(path)})) == (
        f"error[SNN203]: a layer of class {path} is not read\n  at: fc\n  fix: use {homes}"
    )


def test_a_draft_is_toml_whatever_the_keys_are():
    text = draft({'a"\nb.weight': np.ones((2, 2)), "\x1b[31m.weight": np.ones((2, 2))})
    text = text.replace('"?"', '"torch"').replace("[?]", "[2]")
    names = [layer.name for layer in parse_architecture(text.encode(), "network.toml").layers]
    assert names == ['a"\nb', "\x1b[31m"]
    assert "\x1b" not in text


def test_tensors_without_an_owner_are_comments_of_a_draft():
    assert draft({"weight": np.ones((2, 2))}).splitlines()[3:] == [
        "# ? tensors that are in no layer, to be named by ignore = [...]:",
        "# weight [2, 2]",
    ]


# ------------------------------------------------- recurrent layers of snnTorch


def test_recurrent_convolutions_keep_the_size_as_snntorch_pads_them():
    text = 'input = [2, 4, 4]\n[[layers]]\nname = "r"\ntype = "snntorch.RLeaky"\nbeta = 0.5'
    made = graph(text, {"r.recurrent.weight": np.ones((2, 2, 3, 5), np.float32)})
    kernel = made.nodes["r.recurrent"].layer
    assert isinstance(kernel, Convolution)
    assert kernel.padding == (1, 2)


@pytest.mark.parametrize("tensor", ["r.V", "r.recurrent.V"])
def test_recurrent_neurons_that_feed_themselves_have_one_factor(tensor):
    text = 'input = [3]\n[[layers]]\nname = "r"\ntype = "snntorch.RLeaky"\nbeta = 0.5'
    made = graph(text, {tensor: np.array(0.25, np.float32)})
    back = made.nodes["r.recurrent"].layer
    assert isinstance(back, Scale)
    assert back.factor == 0.25


def test_a_layer_reads_what_the_one_before_it_gives_whatever_that_is_called():
    text = PLAIN + '[[layers]]\nname = "n"\ntype = "snntorch.Leaky"\n'
    text += '[[layers]]\nname = "out"\ntype = "Linear"\n'
    weights = {
        **WEIGHTS,
        "n.beta": np.array(0.5, np.float32),
        "n.graded_spikes_factor": np.array(2.0, np.float32),
        "out.weight": np.ones((2, 3), np.float32),
    }
    assert graph(text, weights).nodes["out"].inputs == ("n.graded",)
