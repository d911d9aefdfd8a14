"""Networks on a chip with hidden and output neurons: what fits, what changes, what is refused."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.errors import DoesNotFitError, UnsupportedError
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import (
    Bias,
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Compare, Decode, Fires, ResetKind, State, When
from snn_deploy.ir.program import Program
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import Compiled, compile_network
from snn_deploy.quantize.layers import CheckLayers, ShareExponents
from snn_deploy.quantize.normalize import FoldGains
from snn_deploy.quantize.suit import ScaleArrivals
from snn_deploy.targets import find_target

CHIP = find_target("xylo")
TAU = 0.75
"""Decay of currents and membranes: a shift of 2."""


def neurons(name: str, size: int, **changes: Any) -> Population:
    """Return neurons as the chip's hidden ones."""
    plain: dict[str, Any] = {
        "decay": np.asarray(TAU),
        "synapse": Synapse(decay=np.asarray(TAU)),
        "fires": Fires.COUNT,
        "max_spikes": 31,
        "threshold": np.asarray(1.0),
        "compare": Compare.GREATER_EQUAL,
        "reset": Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(1.0)),
    }
    return Population(name=name, shape=(size,), **(plain | changes))


def output(size: int = 2, **changes: Any) -> Population:
    return neurons("out", size, **({"fires": Fires.BINARY, "max_spikes": 1} | changes))


def net(
    *populations: Population,
    pairs: tuple[tuple[str, str], ...] = (),
    inputs: int = 3,
    decode: Decode = Decode.COUNT,
) -> Network:
    """Return a chain from the input through `populations`, and the projections `pairs` beside."""
    sizes = {"in": inputs} | {p.name: p.size for p in populations}
    names = list(sizes)
    rng = np.random.default_rng(3)
    return Network(
        name="net",
        inputs=(Input(name="in", shape=(inputs,)),),
        populations=populations,
        projections=tuple(
            Projection(
                name=f"{a}>{b}",
                source=a,
                target=b,
                map=Dense(weight=rng.choice([-0.5, 0.25, 0.75], (sizes[b], sizes[a]))),
                delay=np.asarray(1 if a == b else 0),
            )
            for a, b in (*pairwise(names), *pairs)
        ),
        outputs=(Output(name="answer", population=names[-1], decode=decode),),
    )


def compiled(network: Network) -> Compiled:
    return compile_network(network, CHIP)


def changed(network: Network) -> list[tuple[str, str, str]]:
    found = compiled(network).findings
    return [(f.layer, f.amount, f.reason) for f in found if f.kind is Kind.CHANGED]


def refused(network: Network, error: type[Exception] = UnsupportedError) -> str:
    with pytest.raises(error) as caught:
        compiled(network)
    return str(caught.value)


def test_a_network_of_the_chips_own_neurons_loses_nothing_but_rounding():
    found = compiled(net(neurons("h", 5), output(), pairs=(("h", "h"),)))
    assert {f.kind for f in found.findings} <= {Kind.RETIMED, Kind.UNPROVEN}
    program = found.program
    assert [p.lag for p in program.populations] == [0, 1]
    assert {p.name: int(p.delay) for p in program.projections} == {"in>h": 0, "h>out": 1, "h>h": 1}
    for population in program.populations:
        assert population.current is not None
        assert (population.decay, population.current.decay) == (2, 2)
        np.testing.assert_array_equal(population.reset.amount, population.threshold)


def test_neurons_that_send_less_than_the_chips_send_as_many_and_that_is_told():
    single = neurons("h", 4, fires=Fires.BINARY, max_spikes=1)
    many = output(fires=Fires.COUNT, max_spikes=5)
    assert changed(net(single, many)) == [
        ("h", "a neuron sends up to 31 spikes in a step, where it sent up to 1",
         "so do the hidden neurons of xylo"),
        ("out", "a neuron sends up to 1 spike in a step, where it sent up to 5",
         "so do the output neurons of xylo"),
    ]  # fmt: skip
    program = compiled(net(single, many)).program
    assert [p.highest_payload for p in program.populations] == [31, 1]


def test_neurons_that_compare_otherwise_are_told():
    greater = net(neurons("h", 4, compare=Compare.GREATER), output())
    assert changed(greater) == [
        ("h", "a membrane that equals its threshold fires",
         "xylo compares by >=, the network by >; --compare '>=' says that it was trained so"),
    ]  # fmt: skip


def test_a_readout_is_read_as_a_membrane():
    silent = output(fires=Fires.NEVER, reset=Reset())
    program = compiled(net(neurons("h", 4), silent, decode=Decode.MEMBRANE_END)).program
    assert program.population("out").fires is Fires.NEVER


def test_what_is_too_large_is_told_with_limit_and_amount_all_at_once():
    assert refused(net(neurons("h", 1001), output(9), inputs=17), DoesNotFitError) == (
        "error[SNN302]: xylo is too small: the network has 17 input channels of 16, "
        "1001 hidden neurons of 1000, 9 output neurons of 8\n"
        "  at: net\n"
        "  fix: make these layers smaller, or --target cpu"
    )


def test_more_synapses_between_hidden_neurons_than_there_are_is_told():
    wide = net(neurons("h", 40), neurons("g", 70), output(), pairs=(("h", "h"),))
    assert refused(wide, DoesNotFitError) == (
        "error[SNN302]: xylo is too small: neuron 0 of h drives 110 hidden neurons of 64\n"
        "  at: net\n"
        "  fix: prune the weights between hidden layers, or --target cpu"
    )
    many = [neurons(f"h{k}", 64) for k in range(10)]
    assert refused(net(*many, output()), DoesNotFitError) == (
        "error[SNN302]: xylo is too small: 36864 synapses between hidden neurons of 32000\n"
        "  at: net\n"
        "  fix: prune the weights between hidden layers, or --target cpu"
    )


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (
            net(output()),
            "xylo has no way from input to output neurons: inputs drive hidden neurons, these "
            "each other and the output\n  at: in>out\n"
            "  fix: put a hidden layer between them, or --target cpu",
        ),
        (
            net(neurons("h", 4), output(), pairs=(("out", "out"),)),
            "xylo has no way from output to output neurons: inputs drive hidden neurons, these "
            "each other and the output\n  at: out>out\n"
            "  fix: put a hidden layer between them, or --target cpu",
        ),
        (
            net(neurons("h", 4, synapse=None), output()),
            "xylo does not have a neuron without a synaptic current\n  at: h\n"
            "  fix: train neurons with a synaptic current, or --target cpu",
        ),
        (
            net(neurons("h", 4, reset=Reset(kind=ResetKind.VALUE)), output()),
            "xylo does not have a reset to a value\n  at: h\n"
            "  fix: --reset subtract, if the network works with it, or --target cpu",
        ),
        (
            net(
                neurons("h", 4, reset=Reset(kind=ResetKind.SUBTRACT, amount=np.asarray(0.5))),
                output(),
            ),
            "xylo does not have a reset that subtracts another amount than the threshold\n"
            "  at: h\n  fix: --target cpu",
        ),
        (
            net(
                neurons(
                    "h",
                    4,
                    fires=Fires.BINARY,
                    reset=Reset(
                        kind=ResetKind.SUBTRACT, amount=np.asarray(1.0), when=When.RETESTED
                    ),
                ),
                output(),
            ),
            "xylo sends up to 31 spikes in a step, and does not have a reset that is tested again "
            "in the next step\n  at: h\n"
            "  fix: --reset subtract, if the network works with it, or --target cpu",
        ),
        (
            net(neurons("h", 4, fires=Fires.BINARY, threshold=np.asarray(0.0)), output()),
            "a threshold of 0, but xylo sends up to 31 spikes in a step: as many as the threshold "
            "goes into the membrane, which needs a positive one\n  at: h.threshold\n"
            "  fix: train with a threshold above 0, or --target cpu",
        ),
        (
            net(neurons("h", 4, initial=np.asarray(0.5)), output()),
            "xylo does not have states that do not start at 0\n  at: h\n  fix: --target cpu",
        ),
        (
            net(
                neurons("h", 4, biases=(Bias(value=np.asarray(0.1), into=State.CURRENT),)),
                output(),
            ),
            "xylo has no bias that enters a synaptic current\n  at: h\n"
            "  fix: train without that bias, or --target cpu",
        ),
    ],
)
def test_what_the_chip_lacks_is_refused(network: Network, told: str):
    assert refused(network) == f"error[SNN301]: {told}"


def test_a_second_projection_between_the_same_neurons_is_refused():
    network = net(neurons("h", 4), output())
    again = Projection(name="again", source="in", target="h", map=network.projections[0].map)
    twice = Network(
        name="net",
        inputs=network.inputs,
        populations=network.populations,
        projections=(*network.projections, again),
        outputs=network.outputs,
    )
    assert refused(twice) == (
        "error[SNN301]: two projections lead from in to h; xylo has one synapse for each pair of "
        "neurons\n  at: in>h\n  fix: add their weights up, or --target cpu"
    )


def test_an_input_that_would_arrive_late_is_refused():
    network = net(neurons("h", 4), neurons("g", 4), output(), pairs=(("in", "g"),))
    assert refused(network, DoesNotFitError) == (
        "error[SNN302]: what enters takes 1 step to g, but xylo has 0..0 from its inputs\n"
        "  at: in>g\n"
        "  fix: let inputs drive the first hidden layer only, or --target cpu"
    )


def shifted(program: Program, *shifts: int) -> Program:
    pairs = zip(program.projections, shifts, strict=True)
    return replace(program, projections=tuple(replace(p, shift=s) for p, s in pairs))


def test_projections_of_one_kind_share_the_largest_exponent():
    program = compiled(
        net(neurons("h", 4), neurons("g", 4), output(), pairs=(("h", "h"), ("g", "g")))
    ).program
    names = [p.name for p in program.projections]
    given = shifted(program, *(2 if name == "h>g" else 0 for name in names))
    done = ShareExponents(target=CHIP)(given)
    after = {p.name: p for p in done.graph.projections}
    assert {name: p.shift for name, p in after.items()} == {
        "in>h": 0, "h>g": 2, "g>out": 0, "h>h": 2, "g>g": 2
    }  # fmt: skip
    for p in given.projections:
        before, now = p.map.numbers() << p.shift, after[p.name].map.numbers() << after[p.name].shift
        assert np.abs(before - now).max() <= 2
    assert {f.layer for f in done.findings} <= {"h>h", "g>g"}
    CheckLayers(target=CHIP)(done.graph)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 5]))
def test_a_current_that_decays_what_has_just_arrived_is_the_trained_one(seed: int, shift: int):
    rng = np.random.default_rng(seed)
    share = 1 - 2.0**-shift
    network = net(neurons("h", 4, synapse=Synapse(decay=np.asarray(share))), output())
    scaled = FoldGains()(ScaleArrivals(target=CHIP)(network).graph).graph
    events = rng.integers(0, 3, (20, 3)).astype(float)
    wanted = simulate(network, [Values(name="in", values=events[None])], EVERYTHING)["h"]
    weight, current = scaled.projections[0].map.numbers(), np.zeros(4)
    for step, row in enumerate(events):
        current = share * (current + weight @ row)
        found = wanted.state(State.CURRENT)
        assert found is not None
        np.testing.assert_allclose(current, found[0, step], rtol=1e-9, atol=1e-9)


def test_the_weights_that_a_shared_exponent_rounds_are_counted():
    program = compiled(
        net(neurons("h", 2), neurons("g", 2), output(), pairs=(("h", "h"), ("g", "g")))
    ).program
    weights = {"h>h": [[4, -8], [12, 0]], "g>g": [[4, 5], [-6, 8]]}
    given = replace(
        program,
        projections=tuple(
            replace(
                p,
                shift=2 if p.name == "h>g" else 0,
                map=Dense(weight=np.array(weights[p.name], np.int32)) if p.name in weights
                else p.map,
            )
            for p in program.projections
        ),
    )  # fmt: skip
    done = ShareExponents(target=CHIP)(given)
    after = {p.name: p.map.numbers().tolist() for p in done.graph.projections}
    assert after["h>h"] == [[1, -2], [3, 0]]
    assert after["g>g"] == [[1, 1], [-2, 2]]  # half to even
    assert [str(f) for f in done.findings] == [
        "rounded    g>g: 2 of 4 weights rounded to multiples of 4; xylo has one weight exponent "
        "for all projections of its kind; layers of more equal weights lose less"
    ]
