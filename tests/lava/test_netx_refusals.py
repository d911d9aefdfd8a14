"""What a `.net` file cannot hold is refused: each reason is one error, and its way out works."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from netx_programs import CHIP, TO_ZERO, changed, even, small_chain, whole, with_projection

from snn_deploy.backends.lava import LavaBackend
from snn_deploy.backends.netx import features
from snn_deploy.backends.netx.features import LAVA, NETX
from snn_deploy.backends.netx.writer import write_net
from snn_deploy.errors import DeployError
from snn_deploy.ir.arithmetic import Overflow, Register
from snn_deploy.ir.maps import Convolution, Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Compare, Decode, Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import (
    Bias,
    Current,
    Floor,
    Input,
    Population,
    Program,
    Projection,
    Reset,
    Role,
)
from snn_deploy.ir.timing import Restart

SMALL = small_chain()
FLAT = Population(name="more", shape=(3,), decay=whole(4096), threshold=whole(640), reset=TO_ZERO)
SPIKES = changed(SMALL, "out", fires=Fires.BINARY, threshold=whole(6400), reset=TO_ZERO)


def more(*populations: Population, program: Program = SPIKES) -> Program:
    """Return a program with populations more."""
    return replace(program, populations=(*program.populations, *populations))


def joined(first: str, *ways: tuple[str, str]) -> Program:
    program = more(FLAT)
    for number, (source, target) in enumerate(ways):
        program = with_projection(program, f"{first}{number}", source, target)
    return program


def kernel(**changes) -> Convolution:
    return replace(SMALL.projections[0].map, **changes)


def clocked(**changes) -> Program:
    clock = Population(
        name="clock",
        shape=(1,),
        decay=whole(4096),
        threshold=whole(64),
        reset=TO_ZERO,
        biases=(Bias(value=whole(128)),),
        role=Role.CLOCK,
    )
    program = more(clock, program=changed(SMALL, "out", **changes))
    return with_projection(program, "wire", "clock", "out", delay=whole(2))


def behind_dense() -> Program:
    kernel_of_one = Convolution(weight=whole([[[[2]], [[4]], [[-2]]]]), source=(3, 1, 1))
    way = Projection(
        name="conv2", source="out", target="more", map=kernel_of_one, shift=6, delay=whole(1)
    )
    return replace(
        more(replace(FLAT, shape=(1, 1, 1), lag=3)),
        projections=(*SMALL.projections, way),
        outputs=(Output(name="answer", population="more", decode=Decode.COUNT),),
    )


def image(linear: Convolution) -> Program:
    """Return the small chain with another convolution."""
    return replace(
        SMALL,
        populations=(replace(SMALL.populations[0], shape=linear.out_shape),),
        projections=(replace(SMALL.projections[0], map=linear),),
        outputs=(Output(name="answer", population="image", decode=Decode.COUNT),),
    )


def early() -> Program:
    """Return a layer with a loop whose late bias alone would make it fire at once."""
    bias = (Bias(value=whole(64000), start=2),)
    return with_projection(changed(SPIKES, "out", biases=bias), "loop", "out", "out")


REFUSED: dict[str, tuple[Callable[[], Program], str]] = {
    "two inputs": (
        lambda: replace(SMALL, inputs=(*SMALL.inputs, Input(name="in2", shape=(2,)))),
        "error[SNN301]: 2 inputs, but a .net file has one\n"
        "  at: in, in2\n"
        "  fix: join them into one before the network; or " + LAVA,
    ),
    "a restart": (
        lambda: changed(SMALL, "image", restart=Restart(interval=9, offset=1)),
        "error[SNN301]: it has a restart, which no layer of a .net file has\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "a branch": (
        lambda: joined("way", ("image", "more")),
        "error[SNN301]: it feeds out, more, but a .net file is a chain: each layer feeds the "
        "next one\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "a join": (
        lambda: with_projection(SMALL, "skip", "in", "out", delay=whole(2)),
        "error[SNN301]: it feeds image, out, but a .net file is a chain: each layer feeds "
        "the next one\n"
        "  at: in\n"
        "  fix: " + LAVA,
    ),
    "a long loop": (
        lambda: joined("way", ("out", "more"), ("more", "out")),
        "error[SNN301]: it reads image, more, but a layer of a .net file reads the one "
        "before it, and perhaps itself\n"
        "  at: out\n"
        "  fix: " + LAVA,
    ),
    "two projections": (
        lambda: with_projection(SMALL, "twice", "image", "out"),
        "error[SNN301]: 2 projections lead from image to out, but a layer of a .net file has "
        "one\n"
        "  at: fc, twice\n"
        "  fix: add their weights up before the export; or " + LAVA,
    ),
    "two loops": (
        lambda: with_projection(
            with_projection(SPIKES, "loop1", "out", "out"), "loop2", "out", "out"
        ),
        "error[SNN301]: 2 projections lead from it to itself, but a layer of a .net file has "
        "one\n"
        "  at: out\n"
        "  fix: add their weights up before the export; or " + LAVA,
    ),
    "a layer apart": (
        lambda: more(FLAT),
        "error[SNN301]: the input does not reach it through a chain of layers: more\n"
        "  at: more\n"
        "  fix: " + LAVA,
    ),
    "an output before the last layer": (
        lambda: replace(
            SMALL, outputs=(Output(name="answer", population="image", decode=Decode.COUNT),)
        ),
        "error[SNN301]: it reads image, but netx gives out its last layer, out\n"
        "  at: answer\n"
        "  fix: " + LAVA,
    ),
    "a convolution behind a dense layer": (
        behind_dense,
        "error[SNN301]: a convolution of values of shape (3, 1, 1), which come in the shape "
        "(3,); netx does not reshape them\n"
        "  at: conv2\n"
        "  fix: " + LAVA,
    ),
    "other registers": (
        lambda: replace(
            SMALL,
            arithmetic=replace(
                SMALL.arithmetic, current=Register(bits=20, overflow=Overflow.SATURATE)
            ),
        ),
        "error[SNN301]: the registers of loihi2 are not those of Lava's processes\n"
        "  at: small\n"
        "  fix: export for the chip of lava-dl: --target loihi2",
    ),
    "a floor": (
        lambda: changed(SMALL, "image", floor=Floor(value=whole(0), when=FloorWhen.AFTER_RESET)),
        "error[SNN301]: it has a floor below its membrane, which netx's LIF lacks\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "several spikes": (
        lambda: changed(SMALL, "image", fires=Fires.COUNT, max_spikes=3),
        "error[SNN301]: it has several spikes in a step, which netx's LIF lacks\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "a subtracting reset": (
        lambda: changed(SMALL, "image", reset=Reset(kind=ResetKind.SUBTRACT, amount=whole(64))),
        "error[SNN301]: it has a reset other than to 0, which netx's LIF lacks\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "a late reset": (
        lambda: changed(SMALL, "image", reset=replace(TO_ZERO, when=When.NEXT)),
        "error[SNN301]: it has a reset in the step behind the spike, which netx's LIF lacks\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "the old current": (
        lambda: changed(SMALL, "image", current=Current(decay=whole(9), reads=Reads.OLD)),
        "error[SNN301]: it has a membrane that integrates the current of the step before, "
        "which netx's LIF lacks\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "an initial current": (
        lambda: changed(SMALL, "image", current=Current(decay=whole(9), initial=whole(5))),
        "error[SNN301]: it has an initial state other than 0, which netx's LIF lacks\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "a decay above one": (
        lambda: changed(SMALL, "image", decay=whole(5000)),
        "error[SNN301]: it has a decay outside 0..4096, which netx's LIF lacks\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "a comparison by >=": (
        lambda: changed(SMALL, "image", compare=Compare.GREATER_EQUAL),
        "error[SNN301]: it fires at v >= threshold, but netx's LIF at v > threshold, and its "
        "states are no multiples of 64, on which both can be the same\n"
        "  at: image\n"
        "  fix: train it with >; or " + LAVA,
    ),
    "a threshold between": (
        lambda: changed(SMALL, "image", threshold=whole(100)),
        "error[SNN302]: a threshold of 100 state units is no multiple of 64, which a .net "
        "file counts in\n"
        "  at: image.threshold\n"
        "  fix: " + NETX,
    ),
    "a negative threshold": (
        lambda: changed(SMALL, "image", threshold=whole(-64)),
        "error[SNN302]: thresholds of -1..-1, in 64 state units; the chip stores 0..131071\n"
        "  at: image.threshold\n"
        "  fix: " + NETX,
    ),
    "a threshold beyond": (
        lambda: changed(SMALL, "image", threshold=whole(1 << 24)),
        "error[SNN302]: thresholds of 262144..262144, in 64 state units; the chip stores "
        "0..131071\n"
        "  at: image.threshold\n"
        "  fix: " + NETX,
    ),
    "a decay within a channel": (
        lambda: changed(SMALL, "image", decay=whole(np.arange(36).reshape(4, 3, 3))),
        "error[SNN301]: its decay differs within a channel, but a .net file has one number "
        "per channel\n"
        "  at: image\n"
        "  fix: " + LAVA,
    ),
    "a bias between": (
        lambda: changed(SMALL, "out", biases=(Bias(value=whole(70), start=2),)),
        "error[SNN302]: a bias of 70 state units is no multiple of 64, which a .net file "
        "counts in\n"
        "  at: out.bias\n"
        "  fix: " + NETX,
    ),
    "a bias beyond": (
        lambda: changed(SMALL, "out", biases=(Bias(value=whole(1 << 20), start=2),)),
        "error[SNN302]: biases of 16384..16384, in 64 state units; the chip stores "
        "-4095..4095\n"
        "  at: out.bias\n"
        "  fix: " + NETX,
    ),
    "a bias into the current": (
        lambda: changed(
            SMALL,
            "out",
            current=Current(decay=whole(9)),
            biases=(Bias(value=whole(64), into=State.CURRENT),),
        ),
        "error[SNN301]: its bias enters the current, but the bias of netx's LIF enters the "
        "membrane\n"
        "  at: out\n"
        "  fix: train it without a bias; or " + LAVA,
    ),
    "a clock into the current": (
        lambda: clocked(current=Current(decay=whole(9))),
        "error[SNN301]: its bias enters the current, but the bias of netx's LIF enters the "
        "membrane\n"
        "  at: out\n"
        "  fix: train it without a bias; or " + LAVA,
    ),
    "biases of several starts": (
        lambda: clocked(biases=(Bias(value=whole(64), start=9),)),
        "error[SNN301]: its biases start in the steps 2, 9; those of netx's LIF start "
        "together\n"
        "  at: out\n"
        "  fix: " + LAVA,
    ),
    "a bias behind the start": (
        lambda: changed(SMALL, "out", biases=(Bias(value=whole(64), start=5),)),
        "error[SNN301]: its bias starts in step 5, 3 after the layer itself; netx's LIF has "
        "no such start\n"
        "  at: out\n"
        "  fix: " + LAVA,
    ),
    "a start that no reset keeps": (
        lambda: changed(
            changed(
                changed(SMALL, "image", lag=0, biases=(Bias(value=whole(64)),)),
                "fc",
                delay=whole(2),
            ),
            "out",
            biases=(Bias(value=whole(64), start=2),),
        ),
        "error[SNN301]: it starts in step 0, and netx's reset, which can start layers with "
        "late biases, comes to it in step 1\n"
        "  at: image\n"
        "  fix: train without biases; or " + LAVA,
    ),
    "spikes from before the start": (
        early,
        "error[SNN301]: its bias makes out fire in step 1, before it starts, and that "
        "arrives when out has started; netx's reset leaves spikes under way\n"
        "  at: loop\n"
        "  fix: train without biases; or " + LAVA,
    ),
    "input before the start": (
        lambda: changed(SMALL, "out", lag=5),
        "error[SNN301]: what arrives before step 5 is dropped, but neurons of a .net file "
        "have no such start\n"
        "  at: fc\n"
        "  fix: " + LAVA,
    ),
    "weights with an exponent": (
        lambda: changed(SMALL, "conv", shift=8),
        "error[SNN302]: weights of -480..560, which are 4 times those stored; a .net file "
        "holds 0..255, -255..0, or -256..254 in even numbers, without exponents\n"
        "  at: conv\n"
        "  fix: " + NETX,
    ),
    "weights below the grid": (
        lambda: changed(SMALL, "conv", shift=5),
        "error[SNN302]: a weight adds 32 state units, and in a .net file 64\n"
        "  at: conv\n"
        "  fix: " + NETX,
    ),
    "odd weights of both signs": (
        lambda: changed(SMALL, "fc", map=Dense(weight=even(np.random.default_rng(0), (3, 36)) + 1)),
        "error[SNN302]: weights of -119..143; a .net file holds 0..255, -255..0, or "
        "-256..254 in even numbers, without exponents\n"
        "  at: fc\n"
        "  fix: " + NETX,
    ),
    "no weights": (
        lambda: changed(SMALL, "fc", map=Dense(weight=whole(np.zeros((3, 36))))),
        "error[SNN302]: all weights are 0, which netx cannot load: it divides by the largest "
        "one\n"
        "  at: fc\n"
        "  fix: look why the layer lost its weights, or take it out of the network",
    ),
    "weights that netx destroys": (
        lambda: changed(SMALL, "fc", map=Dense(weight=whole(np.full((3, 36), -64)))),
        "error[SNN302]: weights of -64..-64: netx shifts them to the left until Lava, which "
        "stores 0..255 of one sign, clips or cuts them\n"
        "  at: fc\n"
        "  fix: change the largest weight by one step, or give one weight the other sign; or "
        + LAVA,
    ),
    "a loop with delays": (
        lambda: with_projection(SPIKES, "loop", "out", "out", delay=whole(2)),
        "error[SNN301]: a layer with a loop and delays: netx computes it with other weights, "
        "by mistake\n"
        "  at: fc, loop\n"
        "  fix: train it without delays; or " + LAVA,
    ),
    "a loop around a convolution": (
        lambda: with_projection(SMALL, "loop", "image", "image"),
        "error[SNN301]: a convolution with a loop, but only dense layers of a .net file have "
        "one\n"
        "  at: loop\n"
        "  fix: " + LAVA,
    ),
    "a convolution with delays": (
        lambda: changed(SMALL, "conv", delay=whole(3)),
        "error[SNN301]: a convolution with delays of up to 3 steps, but in netx it takes one\n"
        "  at: conv\n"
        "  fix: train it without delays; or " + LAVA,
    ),
    "a delay beyond": (
        lambda: changed(SMALL, "fc", delay=whole(64)),
        "error[SNN302]: delays of 64..64 steps; netx has 1..63\n"
        "  at: fc\n"
        "  fix: train it with delays of so many steps; or " + LAVA,
    ),
    "no delay": (
        lambda: changed(changed(SMALL, "out", lag=1), "fc", delay=whole(0)),
        "error[SNN302]: delays of 0..0 steps; netx has 1..63\n"
        "  at: fc\n"
        "  fix: train it with delays of so many steps; or " + LAVA,
    ),
    "a second current": (
        lambda: changed(
            SMALL, "out", current=Current(decay=whole(9)), further=(Current(decay=whole(5)),)
        ),
        "error[SNN301]: it has several synaptic currents, which no layer of a .net file has\n"
        "  at: out\n"
        "  fix: " + LAVA,
    ),
    "input past the current": (
        lambda: changed(
            changed(SMALL, "out", current=Current(decay=whole(9))), "fc", into=State.MEMBRANE
        ),
        "error[SNN301]: it drives the membrane of out, past the current, but in netx all input "
        "enters the current\n"
        "  at: fc\n"
        "  fix: " + LAVA,
    ),
    "an uneven padding": (
        lambda: image(kernel(padding=(0, 1, 0, 0), dilation=(2, 1))),
        "error[SNN301]: a padding of 0 in front and 1 behind, with dilation 2; Lava's Conv "
        "pads both alike\n"
        "  at: conv\n"
        "  fix: pad both alike in training; or " + LAVA,
    ),
    "a stride beyond": (
        lambda: image(kernel(stride=(200, 1))),
        "error[SNN301]: a stride, twice a padding, the reach of a kernel or a number of "
        "groups is 200, and Lava's Conv computes with them in 8 bits, up to 127\n"
        "  at: conv\n"
        "  fix: " + LAVA,
    ),
    "a padding beyond": (
        lambda: image(kernel(padding=(64, 64, 0, 0))),
        "error[SNN301]: a stride, twice a padding, the reach of a kernel or a number of "
        "groups is 128, and Lava's Conv computes with them in 8 bits, up to 127\n"
        "  at: conv\n"
        "  fix: " + LAVA,
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_a_file_cannot_hold_is_refused_with_the_reason(reason: str) -> None:
    make, message = REFUSED[reason]
    with pytest.raises(DeployError) as caught:
        write_net(make())
    assert str(caught.value) == message


@pytest.mark.parametrize("reason", [name for name in REFUSED if REFUSED[name][1].endswith(LAVA)])
def test_lava_runs_what_no_file_holds(reason: str) -> None:
    program = REFUSED[reason][0]()
    if reason not in ("other registers", "no delay"):  # which no program for loihi2 has
        assert "run_lava.py" in LavaBackend().emit(program, CHIP)


def test_a_weight_matrix_changed_by_one_step_is_kept_by_netx() -> None:
    weight = np.full((3, 36), -64)
    weight[0, 0] -= 2
    write_net(changed(SMALL, "fc", map=Dense(weight=whole(weight))))
    weight[0, 0] = 2
    write_net(changed(SMALL, "fc", map=Dense(weight=whole(weight))))


def test_a_feature_that_nobody_thought_of_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclass(frozen=True)
    class Later:
        name: str = "x"
        fresh_idea: np.ndarray = field(default_factory=lambda: np.zeros(3))
        another: int | None = None

    monkeypatch.setattr(features, "KNOWN", {Later: {"name"}})
    features._check_fields(Later(), "x")
    with pytest.raises(DeployError) as caught:
        features._check_fields(Later(fresh_idea=np.ones(3)), "x")
    assert str(caught.value) == (
        "error[SNN301]: it has fresh idea, which no layer of a .net file has\n"
        "  at: x\n"
        f"  fix: {LAVA}"
    )
    with pytest.raises(DeployError, match="it has another,"):
        features._check_fields(Later(another=0), "x")
