"""What each dialect makes of the same neuron, and where each choice came from."""

import math

import nir
import numpy as np
import pytest

from snn_deploy.errors import DynamicsError, OptionError, UnknownNameError
from snn_deploy.frontends import Dialect, Origin, Overrides, ResetRule, load
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.neuron import Compare, Decode, Fires


def lone(node, size=1):
    """Return a graph of an Input, one neuron node and an Output."""
    return nir.NIRGraph(
        nodes={
            "input": nir.Input(input_type=np.array([size])),
            "n": node,
            "output": nir.Output(output_type=np.array([size])),
        },
        edges=[("input", "n"), ("n", "output")],
        metadata={},
        type_check=False,
    )


def lif(tau=4.0, r=1.0, threshold=1.0, v_leak=0.0, v_reset=0.0):
    values = {"tau": tau, "r": r, "v_leak": v_leak, "v_threshold": threshold, "v_reset": v_reset}
    return nir.LIF(**{name: np.array([value]) for name, value in values.items()})


def cuba(tau_syn=2.0, tau_mem=4.0, r=1.0, w_in=1.0, threshold=1.0):
    values = {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "r": r,
        "w_in": w_in,
        "v_leak": 0.0,
        "v_threshold": threshold,
        "v_reset": 0.0,
    }
    return nir.CubaLIF(**{name: np.array([value]) for name, value in values.items()})


def drive(run, imported, x):
    """Return (spikes at the output, membrane) for the inputs x, one per step."""
    trace = run(imported, input=np.array(x, float)[:, None])["n"]
    late = imported.network.outputs[0].delay
    spikes = trace.payload[0, :, 0].tolist()
    return [0.0] * late + spikes[: len(spikes) - late], trace.membrane[0, :, 0].tolist()


INPUT = [1.0, 1.0, 0.5, 0.0, 3.0, 0.0, 0.0, 0.25]


def by_hand(step):
    """Return what `step(state, x)` gives for INPUT; state is a dict that starts empty."""
    state = {}
    return [step(state, x) for x in INPUT]


def test_nir_is_euler_with_a_strict_threshold_and_a_reset_at_once(run):
    imported = load(lone(lif(r=4.0)), dialect="nir", overrides=Overrides(dt=1.0))

    def step(state, x):
        v = state.get("v", 0.0) + 0.25 * (4 * x - state.get("v", 0.0))
        fired = v > 1
        state["v"] = 0.0 if fired else v
        return float(fired)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert any(spikes)


def test_snntorch_subtracts_one_step_late(run):
    """r = H(U - 1); U = (beta U + x) - r; s = H(U - 1)"""
    beta = 0.75
    node = lif(tau=1e-4 / (1 - beta), r=1 / (1 - beta))
    imported = load(lone(node), dialect="snntorch")

    def step(state, x):
        u = state.get("u", 0.0)
        state["u"] = beta * u + x - float(u > 1)
        return float(state["u"] > 1)

    spikes, membrane = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert spikes == [0, 1, 0, 0, 1, 1, 0, 0]
    assert imported.network.dt == 1e-4
    assert imported.network.populations[0].gain == 1
    assert membrane[1] == pytest.approx(1.75)


def test_snntorch_can_drop_the_step_after_a_spike(run):
    """Synaptic with a late reset to zero: I = alpha I + x; U = beta U + I; U = U - U r"""
    alpha, beta = 0.5, 0.75
    node = cuba(
        tau_syn=1e-4 / (1 - alpha),
        tau_mem=1e-4 / (1 - beta),
        r=1 / (1 - beta),
        w_in=1 / (1 - alpha),
    )
    overrides = Overrides(reset=ResetRule.LATE_VALUE)
    imported = load(lone(node), dialect="snntorch", overrides=overrides)

    def step(state, x):
        fired = state.get("u", 0.0) > 1
        state["i"] = alpha * state.get("i", 0.0) + x
        state["u"] = 0.0 if fired else beta * state.get("u", 0.0) + state["i"]
        return float(state["u"] > 1)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert any(spikes)


def test_norse_lets_the_current_jump_before_the_membrane_reads_it(run):
    """i' = i + x; v += dt / tau_mem (-v + i'); i = i' - dt / tau_syn i'"""
    imported = load(lone(cuba(tau_syn=2e-3, tau_mem=4e-3, threshold=0.5)), dialect="norse")

    def step(state, x):
        jumped = state.get("i", 0.0) + x
        v = state.get("v", 0.0)
        v += 0.25 * (jumped - v)
        state["i"] = jumped - 0.5 * jumped
        fired = v > 0.5
        state["v"] = 0.0 if fired else v
        return float(fired)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert any(spikes)


def test_norse_integrates_without_a_time_step(run):
    node = nir.IF(r=np.ones(1), v_threshold=np.ones(1), v_reset=np.full(1, 0.25))
    imported = load(lone(node), dialect="norse")

    def step(state, x):
        v = state.get("v", 0.25) + x
        fired = v > 1
        state["v"] = 0.25 if fired else v
        return float(fired)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert any(spikes)


def test_sinabs_counts_spikes_and_subtracts_them_all(run):
    node = nir.IF(r=np.ones(1), v_threshold=np.ones(1), v_reset=np.zeros(1))
    imported = load(lone(node), dialect="sinabs")

    def step(state, x):
        v = state.get("v", 0.0) + x
        count = math.trunc(v) if v > 0 else 0
        state["v"] = v - count
        return float(count)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert any(spikes)
    assert imported.network.dt is None


def test_sinabs_leaks_by_an_exponential_and_normalises_the_input(run):
    imported = load(lone(lif(tau=3.0, threshold=0.25)), dialect="sinabs")
    decay = math.exp(-1 / 3)

    def step(state, x):
        v = decay * state.get("v", 0.0) + (1 - decay) * x
        count = math.trunc(v / 0.25) if v > 0 else 0
        state["v"] = v - count * 0.25
        return float(count)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert max(spikes) == 3


def test_a_floor_holds_the_membrane_after_the_reset(run):
    node = nir.IF(r=np.ones(1), v_threshold=np.ones(1), v_reset=np.zeros(1))
    free = load(lone(node), dialect="sinabs")
    floored = load(lone(node), dialect="sinabs", overrides=Overrides(floor=-1.0))
    x = [-3.0, 2.0, 1.0]
    assert drive(run, free, x)[1] == [-3, -1, 0]
    assert drive(run, floored, x) == ([0, 1, 1], [-1, 0, 0])
    none = load(floored.nir_bytes, overrides=Overrides(floor=-math.inf))
    assert none.network.populations[0].floor is None


def test_spikingjelly_fires_on_the_threshold(run):
    node = nir.IF(r=np.full(1, 1e4), v_threshold=np.ones(1), v_reset=np.zeros(1))
    imported = load(lone(node), dialect="spikingjelly")
    assert drive(run, imported, [1.0, 0.5, 0.5]) == ([1, 0, 1], [0, 0.5, 0])
    strict = load(lone(node), dialect="spikingjelly", overrides=Overrides(compare=Compare.GREATER))
    assert drive(run, strict, [1.0, 0.5, 0.5])[0] == [0, 1, 0]


def test_rockpool_adds_its_input_unscaled_and_finds_its_step_in_r(run):
    """v *= exp(-dt / tau); v += x; z = floor(v / threshold)"""
    tau, dt = 2.5e-3, 1e-4
    decay = math.exp(-dt / tau)
    imported = load(lone(lif(tau=tau, r=tau * decay / dt)), dialect="rockpool")

    def step(state, x):
        v = decay * state.get("v", 0.0) + x
        count = math.floor(v) if v >= 1 else 0
        state["v"] = v - count
        return float(count)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert any(spikes)
    assert imported.network.dt == pytest.approx(dt, rel=1e-12)
    assert imported.annotation.dt.origin is Origin.DIALECT


def test_rockpool_decays_its_current_after_the_jump(run):
    """i = i + x; v *= a; i *= b; v += i"""
    dt = 1e-3
    a, b = math.exp(-dt / 4e-3), math.exp(-dt / 2e-3)
    node = cuba(tau_syn=2e-3, tau_mem=4e-3, r=4e-3 * a / dt)
    imported = load(lone(node), dialect="rockpool")

    def step(state, x):
        state["i"] = b * (state.get("i", 0.0) + x)
        v = a * state.get("v", 0.0) + state["i"]
        count = math.floor(v) if v >= 1 else 0
        state["v"] = v - count
        return float(count)

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert sum(spikes) > 3


def test_spyx_sends_the_spike_of_the_step_before(run):
    """s = H(V - 1); V = beta V + x - s"""
    beta = 0.75
    imported = load(lone(lif(tau=4.0, r=beta)), dialect="spyx")

    def step(state, x):
        v = state.get("v", 0.0)
        fired = float(v > 1)
        state["v"] = beta * v + x - fired
        return fired

    spikes, _ = drive(run, imported, INPUT)
    assert spikes == by_hand(step)
    assert any(spikes)
    assert imported.network.outputs[0].delay == 1
    assert imported.annotation.dt.value == 1


def test_a_threshold_node_keeps_no_state(run):
    imported = load(lone(nir.Threshold(threshold=np.ones(1))), dialect="sinabs")
    assert drive(run, imported, [1.0, 1.5, 0.0, 9.0])[0] == [0, 1, 0, 1]
    assert imported.network.populations[0].fires is Fires.BINARY


def test_neurons_that_never_fire_are_read_by_their_membrane(run):
    leak = nir.LI(tau=np.full(1, 4.0), r=np.full(1, 4.0), v_leak=np.full(1, 0.5))
    imported = load(lone(leak), dialect="nir", overrides=Overrides(dt=1.0))
    assert imported.network.outputs[0].decode is Decode.MEMBRANE_END
    assert drive(run, imported, [1.0, 0.0]) == ([0, 0], [1.5, 1.25])
    plain = load(lone(nir.I(r=np.full(1, 2.0))), dialect="nir", overrides=Overrides(dt=0.5))
    assert drive(run, plain, [1.0, 3.0])[1] == [1, 4]
    both = nir.CubaLI(
        tau_syn=np.full(1, 2.0),
        tau_mem=np.full(1, 4.0),
        r=np.full(1, 4.0),
        v_leak=np.zeros(1),
        w_in=np.full(1, 2.0),
    )
    synaptic = load(lone(both), dialect="nir", overrides=Overrides(dt=1.0))
    assert drive(run, synaptic, [1.0, 0.0])[1] == [1, 1.25]


def test_the_membrane_starts_at_rest(run):
    imported = load(lone(lif(v_leak=0.5)), dialect="nir", overrides=Overrides(dt=1.0))
    assert drive(run, imported, [0.0, 0.0])[1] == [0.5, 0.5]


def test_parameters_keep_the_fewest_numbers_that_lose_nothing():
    shape = (2, 3, 3)
    node = nir.LIF(
        tau=np.full(shape, 4.0),
        r=np.ones(shape),
        v_leak=np.zeros(shape),
        v_threshold=np.broadcast_to(np.array([1.0, 2.0])[:, None, None], shape).copy(),
        v_reset=np.arange(18.0).reshape(shape),
    )
    graph = lone(node)
    graph.nodes["input"] = nir.Input(input_type=np.array(shape))
    graph.nodes["output"] = nir.Output(output_type=np.array(shape))
    (population,) = load(graph, dialect="nir", overrides=Overrides(dt=1.0)).network.populations
    assert population.decay.shape == ()
    assert population.threshold.tolist() == [[[1.0]], [[2.0]]]
    assert population.reset.amount.shape == shape


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_scalar_parameter_stands_for_all_neurons(shape):
    node = nir.IF(r=np.ones(shape), v_threshold=np.full(shape, 3.0), v_reset=np.zeros(shape))
    imported = load(lone(node, size=4), dialect="norse")
    assert imported.network.populations[0].shape == (4,)
    assert imported.graph.nodes["n"].v_threshold.tolist() == [3, 3, 3, 3]
    guesses = [f for f in imported.findings if f.amount == "one parameter for all 4 values"]
    assert len(guesses) == (shape == (1,))


def test_every_choice_says_who_made_it():
    node = lif(tau=4e-4, r=4.0)
    overrides = Overrides(reset=ResetRule.SUBTRACT, dt=1e-4)
    named = load(lone(node), dialect="snntorch", overrides=overrides)
    firing = named.annotation.neurons["n"].firing
    assert firing is not None
    assert (firing.reset.value, firing.reset.origin) == (ResetRule.SUBTRACT, Origin.OVERRIDE)
    assert (firing.compare.value, firing.compare.origin) == (Compare.GREATER, Origin.DIALECT)
    assert named.annotation.dt.origin is Origin.OVERRIDE
    assert [f for f in named.findings if f.kind is Kind.GUESSED] == []
    unknown = load(lone(node))
    firing = unknown.annotation.neurons["n"].firing
    assert firing is not None
    assert firing.reset.origin is Origin.GUESSED
    assert unknown.annotation.dt.origin is Origin.GUESSED
    again = load(named.nir_bytes)
    firing = again.annotation.neurons["n"].firing
    assert firing is not None
    assert firing.reset.origin is Origin.METADATA


def test_a_guess_is_reported_thing_by_thing():
    lines = [str(finding) for finding in load(lone(lif(tau=4e-4, r=4.0))).findings]
    assert lines == [
        "guessed    (network): read as snntorch writes it; r = tau / dt with dt = 1e-4; "
        "--dialect says who wrote it",
        "guessed    (network): reset: late-subtract; NIR does not say how a spike resets; "
        "--reset does",
        "guessed    (network): spikes where v > threshold; NIR does not settle ties; "
        "--compare does",
        "guessed    (network): dt = 0.0001 s; NIR stores no time step; the resistances fit it; "
        "--dt states it",
    ]


def test_sinabs_reports_the_floor_and_our_cap_on_spikes():
    node = nir.IF(r=np.ones(1), v_threshold=np.ones(1), v_reset=np.zeros(1))
    lines = [str(finding) for finding in load(lone(node), dialect="sinabs").findings]
    assert lines == [
        "guessed    (network): no floor under the membrane; sinabs may have had one, which its "
        "exporter does not write; --floor states it",
        "changed    (network): at most 255 spikes a step of one neuron; sinabs has no such bound; "
        "a chip's messages need one",
    ]


@pytest.mark.parametrize(
    ("node", "name", "dialect"),
    [
        (nir.IF(r=np.ones(1), v_threshold=np.ones(1)), "n", Dialect.SINABS),
        (nir.IF(r=np.full(1, 1e4), v_threshold=np.ones(1)), "n", Dialect.SPIKINGJELLY),
        (lif(tau=1e-3, r=10.0), "n", Dialect.SNNTORCH),
        (lif(tau=1e-3, r=24.02), "1_LIFNeuronTorch", Dialect.ROCKPOOL),
        (lif(tau=1e-3, r=1.0), "n", Dialect.NIR),
    ],
)
def test_files_of_each_framework_are_told_apart(node, name, dialect):
    graph = lone(node)
    graph.nodes[name] = graph.nodes.pop("n")
    graph.edges = [("input", name), (name, "output")]
    first = load(graph).findings[0]
    assert first.amount == f"read as {dialect.value} writes it"


def test_a_dialect_that_nobody_knows_is_refused():
    with pytest.raises(UnknownNameError) as caught:
        load(lone(lif()), dialect="sntorch")
    assert str(caught.value) == (
        "error[SNN101]: 'sntorch' is not a dialect of NIR that we know\n"
        "  at: --dialect\n"
        "  fix: --dialect snntorch"
    )
    assert load(lone(lif(tau=1.0)), dialect="snntorch")


def test_a_step_that_is_no_time_is_refused():
    with pytest.raises(OptionError) as caught:
        Overrides(dt=0.0)
    assert str(caught.value) == (
        "error[SNN102]: dt is 0, but a step takes a positive, finite time\n"
        "  at: --dt\n"
        "  fix: --dt 1e-3, or whatever the network was trained with"
    )
    with pytest.raises(OptionError) as caught:
        Overrides(floor=math.nan)
    assert str(caught.value) == (
        "error[SNN102]: floor is nan, but the lowest membrane is a number\n"
        "  at: --floor\n"
        "  fix: --floor=-1, or --floor=-inf for none"
    )


def test_a_step_for_a_file_that_counts_steps_is_refused():
    with pytest.raises(OptionError) as caught:
        load(lone(lif()), dialect="sinabs", overrides=Overrides(dt=1e-3))
    assert str(caught.value) == (
        "error[SNN102]: dt is 0.001, but this file counts time in steps: its dt is 1\n"
        "  at: --dt\n"
        "  fix: leave --dt out, or name another --dialect"
    )


def test_a_step_longer_than_a_time_constant_is_refused_and_the_fix_works():
    with pytest.raises(DynamicsError) as caught:
        load(lone(lif(tau=1e-5)), dialect="norse")
    assert str(caught.value) == (
        "error[SNN207]: a step of 0.001 is longer than the time constant 1e-05\n"
        "  at: n.tau[0], first of 1\n"
        "  fix: state the step that it was trained with, such as --dt 1e-06 "
        "(norse 1.1.0 writes time constants 1000 times too small: --dt 1e-6)"
    )
    assert load(lone(lif(tau=1e-5)), dialect="norse", overrides=Overrides(dt=1e-6))


def test_a_float32_time_constant_of_one_step_decays_to_zero():
    node = lif(tau=float(np.float32(1e-4)) * (1 - 3e-8), r=1.0)
    assert load(lone(node), dialect="snntorch").network.populations[0].decay == 0


@pytest.mark.parametrize(("tau", "shown"), [(0.0, "0"), (-1.0, "-1")])
def test_a_time_constant_that_is_not_positive_is_refused(tau, shown):
    with pytest.raises(DynamicsError) as caught:
        load(lone(lif(tau=tau)), dialect="nir")
    assert str(caught.value) == (
        f"error[SNN207]: a time constant of {shown} s, but it must be positive\n  at: n.tau[0]"
    )


def test_a_multi_spike_neuron_needs_a_positive_threshold():
    node = nir.IF(r=np.ones(1), v_threshold=np.zeros(1), v_reset=np.zeros(1))
    with pytest.raises(DynamicsError) as caught:
        load(lone(node), dialect="sinabs")
    assert str(caught.value) == (
        "error[SNN207]: a threshold of 0, but a neuron that sends several spikes a step needs a "
        "positive one\n"
        "  at: n.threshold\n"
        "  fix: use a positive threshold, or neurons that send one spike a step"
    )
    assert load(lone(node), dialect="norse")
