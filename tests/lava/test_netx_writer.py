"""Programs written as lava-dl's `.net` files: netx has our states, and our reader our programs.

netx runs where `make lava-dl` has made its environment, as in test_lava_dl.py.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net_files import Case, States, required_lava_dl, run_netx
from netx_programs import Start, changed, even, meaning, random_chain, small_chain, whole

import snn_deploy
from snn_deploy.backends.netx import FILE, NetxBackend
from snn_deploy.backends.netx.connections import _evenly_padded
from snn_deploy.backends.netx.writer import NetFile, write_net
from snn_deploy.backends.protocol import Backend, find_backend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.cli import run as cli
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.errors import BackendError, OptionError, OutputExistsError, UnsupportedError
from snn_deploy.frontends.lava_dl import NetProgram, read_net
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.maps import Convolution, dense_matrix
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Bias, Program
from snn_deploy.ir.timing import Restart
from snn_deploy.ir.trace import EVERYTHING, Trace, Values
from snn_deploy.targets import find_target

CHIP = find_target("loihi2")
LONG = 1_000_000
"""A reset interval beyond every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A program, its file, and what enters both: [step, *shape]."""

    program: Program
    file: NetFile
    values: np.ndarray

    def case(self, name: str, interval: int = LONG) -> Case:
        """Return what netx is to run; a flat layer reads flat values."""
        loading = self.file.loading
        flat = self.file.layers[1].kind != "conv"
        values = self.values.reshape(len(self.values), -1) if flat else self.values
        return Case(
            name=name,
            content=self.file.content,
            values=values.astype(np.int32),
            message_bits=loading.message_bits,
            reset_interval=None if loading.reset_offset is None else interval,
            reset_offset=loading.reset_offset or 0,
        )

    def layers(self) -> list[str]:
        """Return the populations in the order of the file's layers with neurons."""
        return [layer.population for layer in self.file.layers if layer.population]


def written(program: Program, values: np.ndarray) -> Written:
    return Written(program=program, file=write_net(program), values=values)


RANDOM = {f"chain-{seed}": written(*random_chain(seed)) for seed in range(1, 13)}


def read(made: Written) -> NetProgram:
    entry = made.program.inputs[0]
    return read_net(
        made.file.content,
        name="read",
        where="a.net",
        target=CHIP.name,
        arithmetic=CHIP.arithmetic,
        input_range=(entry.low, entry.high),
        decode=made.program.outputs[0].decode,
    )


def run(program: Program, values: np.ndarray) -> Trace:
    return ReferenceBackend().run(
        program, (Values(name=program.inputs[0].name, values=values[None]),), EVERYTHING
    )


def assert_equal_states(made: Written, found: States) -> int:
    """Compare every state of every step, where biases start late from each layer's start on.

    Return the number of spikes.
    """
    trace, steps = run(made.program, made.values), len(made.values)
    layers, spikes = made.layers(), 0
    assert len(found) == 3 * len(layers)
    for index, name in enumerate(layers):
        late = made.file.loading.reset_offset is not None
        first = made.program.population(name).lag if late else 0
        for key, state in (("u", State.CURRENT), ("v", State.MEMBRANE), ("s", State.PAYLOAD)):
            ours, theirs = trace[name].state(state), found[f"{key}_{index}"]
            if ours is None:  # without a current; netx has one, which is what arrives
                continue
            ours = ours[0, first:steps].reshape(steps - first, -1)
            np.testing.assert_array_equal(
                ours, theirs[first:].reshape(steps - first, -1), err_msg=f"{name}.{key}"
            )
        spikes += int(found[f"s_{index}"].sum())
    return spikes


@pytest.fixture(scope="session")
def by_netx(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, States]:
    """Return the states of all random chains, as netx computes them."""
    cases = [made.case(name) for name, made in RANDOM.items()]
    return run_netx(required_lava_dl(), cases, tmp_path_factory.mktemp("netx-writer"))


@pytest.mark.parametrize("name", RANDOM)
def test_netx_has_the_states_of_a_random_program(by_netx: Mapping[str, States], name: str) -> None:
    assert assert_equal_states(RANDOM[name], by_netx[name]) > 0


def test_the_random_programs_have_everything_that_a_file_can_hold() -> None:
    kinds = {layer.kind for made in RANDOM.values() for layer in made.file.layers}
    assert kinds == {"input", "conv", "flatten", "dense", "dense_rec"}
    assert {made.file.loading.reset_offset for made in RANDOM.values()} == {None, 1}
    assert {made.file.loading.message_bits for made in RANDOM.values()} == {0, 4}
    delays = {p.delay.ndim for made in RANDOM.values() for p in made.program.projections}
    assert delays == {0, 1, 2}


@settings(max_examples=12)
@given(st.integers(100, 100_000))
def test_what_is_written_is_read_back_as_the_same_program(seed: int) -> None:
    program, values = random_chain(seed)
    made = written(program, values)
    found = read(made)
    assert meaning(found.program) == meaning(program)
    assert [f for f in found.findings if f.kind is not Kind.RETIMED] == []
    if made.file.loading.reset_offset is None:
        ours, theirs = (
            run(program, values),
            run(found.program, values.reshape(len(values), *found.program.inputs[0].shape)),
        )
        for name, population in zip(made.layers(), theirs.populations, strict=True):
            assert population.membrane is not None
            np.testing.assert_array_equal(
                ours[name].membrane[0, : len(values)].reshape(len(values), -1),
                population.membrane[0].reshape(len(values), -1),
            )


@settings(max_examples=100)
@given(st.integers(0, 100_000))
def test_an_even_padding_leaves_a_convolution_the_same_map(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dilation = tuple(map(int, rng.integers(1, 3, 2)))
    least = rng.integers(0, 3, 2)
    more = rng.integers(0, 3, 2) * dilation
    sides = [
        [low, low + add][:: int(rng.choice([-1, 1]))] for low, add in zip(least, more, strict=True)
    ]
    linear = Convolution(
        weight=even(rng, (2, 2, *rng.integers(1, 4, 2))),
        source=(2, 7, 6),
        stride=tuple(map(int, rng.integers(1, 3, 2))),
        padding=tuple(int(side) for pair in sides for side in pair),
        dilation=dilation,
    )
    even_one = _evenly_padded(linear, "conv")
    assert even_one.padding[0] == even_one.padding[1]
    assert even_one.padding[2] == even_one.padding[3]
    assert even_one.out_shape == linear.out_shape
    np.testing.assert_array_equal(dense_matrix(even_one), dense_matrix(linear))


def test_samples_that_follow_each_other_equal_fresh_ones(tmp_path: Path) -> None:
    """The reset interval is then the steps of a sample."""
    seeds = [seed for seed in range(2, 40, 4) if list(Start)[seed % 4] is Start.LATE_BIAS]
    program, _ = random_chain(seeds[1])
    steps, samples = 15, 3
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (samples, steps, *program.inputs[0].shape), np.int32)
    values = np.concatenate([values.reshape(-1, *values.shape[2:]), values[0]])
    made = written(program, values)
    assert made.file.loading.reset_offset == 1
    assert all(p.delay == 1 for p in program.projections)
    found = run_netx(required_lava_dl(), [made.case("samples", steps)], tmp_path)["samples"]
    for sample in range(samples):
        own = run(program, values[sample * steps : (sample + 1) * steps])
        for index, name in enumerate(made.layers()):
            lag = program.population(name).lag
            first = sample * steps + lag
            for key, state in (("v", State.MEMBRANE), ("s", State.PAYLOAD)):
                ours = own[name].state(state)
                assert ours is not None
                np.testing.assert_array_equal(
                    ours[0, lag:].reshape(-1)[: steps * ours[0, 0].size],
                    found[f"{key}_{index}"][first : first + steps].reshape(-1),
                )


def test_the_same_program_gives_the_same_bytes_at_another_time() -> None:
    program, _ = random_chain(0)
    first = write_net(program).content
    time.sleep(1.1)  # HDF5 stamps times in seconds
    assert write_net(program).content == first


def test_the_backend_writes_one_file() -> None:
    program = small_chain()
    backend = find_backend("netx")
    assert isinstance(backend, Backend)
    assert dict(backend.emit(program, CHIP)) == {"network.net": write_net(program).content}
    assert FILE == "network.net"
    assert list(backend.supports(program, CHIP)) == []


def test_the_backend_says_what_it_cannot_write() -> None:
    program = changed(small_chain(), "image", initial=whole(64))
    assert [str(f) for f in NetxBackend().supports(program, CHIP)] == [
        "simulated  image: has no .net file; it has an initial state other than 0, which netx's "
        "LIF lacks; export with --target loihi2, whose run_lava.py runs every program"
    ]
    with pytest.raises(UnsupportedError):
        NetxBackend().emit(program, CHIP)


def test_the_backend_runs_nothing() -> None:
    with pytest.raises(BackendError) as caught:
        NetxBackend().run(small_chain(), (), EVERYTHING)
    assert str(caught.value) == (
        "error[SNN500]: netx writes files for lava-dl, and runs nothing here\n"
        "  at: small\n"
        "  fix: --backend event, reference or lava; or load the file with lava-dl"
    )


def test_a_file_says_how_it_is_loaded() -> None:
    plain = write_net(small_chain()).loading
    assert plain.call("a.net") == 'netx.hdf5.Network(net_config="a.net")'
    late = changed(small_chain(), "out", biases=(Bias(value=whole(640), start=2),))
    graded = changed(late, "in", low=-3, high=200)
    assert write_net(graded).loading.call("a.net") == (
        'netx.hdf5.Network(net_config="a.net", input_message_bits=9, reset_interval=STEPS, '
        "reset_offset=1)"
    )


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(0, 1, 0), (0, 2, 2), (0, 255, 8), (-1, 0, 1), (-128, 127, 8)]
)
def test_message_bits_hold_every_input(low: int, high: int, bits: int) -> None:
    made = write_net(changed(small_chain(), "in", low=low, high=high))
    assert made.loading.message_bits == bits


def test_what_is_given_up_is_said() -> None:
    late = changed(small_chain(), "out", biases=(Bias(value=whole(640), start=2),))
    own = changed(late, "image", threshold=whole([[[64]], [[640]], [[128]], [[128]]]))
    keeps = changed(own, "out", decay=whole(0))
    assert [str(f) for f in write_net(keeps).findings] == [
        "simulated  image: its neurons have decays or thresholds of their own; Lava's LIF takes "
        "arrays in its simulator; for the chip they are documented as scalars",
        "simulated  out: a current that never decays, or a membrane that keeps nothing; lava-dl "
        "has such layers, and Lava's simulator runs them; Loihi's decays of 12 bits cannot say it",
        "retimed    (network): the biases of out act from step 0 on, and a reset clears what they "
        "did before their layer starts; netx's LIF cannot start a bias late; load the file with "
        "reset_interval, at least the steps of the run, and reset_offset=1",
    ]


# the command, and the target whose programs have a file


def test_the_target_netx_is_loihi2_within_what_a_file_holds() -> None:
    netx, chip = find_target("netx"), find_target("loihi2")
    ours = {entry.path: (entry.value, entry.unit) for entry in netx.entries()}
    theirs = {entry.path: (entry.value, entry.unit) for entry in chip.entries()}
    assert netx.arithmetic == chip.arithmetic
    assert set(ours) <= set(theirs)
    assert {path: value for path, (value, _) in ours.items() if ours[path] != theirs[path]} == {
        "weights.exponent": "0..0",
        "biases.exponent": "6..6",
        "parameter_groups": "1",
    }


@pytest.fixture(scope="module")
def demo(demo_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return the demo network, two convolutions and two dense layers with biases, for netx."""
    output = tmp_path_factory.mktemp("demo") / "mnist"
    return snn_deploy.export(demo_network, target="netx", output=output)


def test_the_demo_network_has_its_states_in_netx(demo: Deployment, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = (rng.random((25, *demo.program.inputs[0].shape)) < 0.2).astype(np.int32)
    made = written(demo.program, values)
    found = run_netx(required_lava_dl(), [made.case("demo")], tmp_path)["demo"]
    assert assert_equal_states(made, found) > 100


def test_an_artifact_for_netx_carries_the_file_that_the_command_writes(
    demo: Deployment, tmp_path: Path
) -> None:
    output = tmp_path / "mnist.net"
    result = snn_deploy.netx(demo.folder, output=output)
    assert demo.folder is not None
    assert output.read_bytes() == (demo.folder / "network.net").read_bytes()
    assert result.bytes == len(output.read_bytes())
    assert (result.message_bits, result.reset_offset) == (0, 1)
    assert not (demo.folder / "run_lava.py").exists()


def test_the_command_says_how_the_file_is_loaded(
    demo: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.net"
    assert cli(["netx", str(demo.folder), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert (
        said
        == f"""mnist as layers of lava-dl

layer  type     population  shape
0      input    -           1x28x28
1      conv     lif1        8x12x12
2      conv     lif2        16x5x5
3      flatten  -           400
4      dense    lif3        64
5      dense    li          10

1 finding
  retimed    (network): the biases of lif1, lif2, lif3, li act from step 0 on, and a reset clears \
what they did before their layer starts
             netx's LIF cannot start a bias late; load the file with reset_interval, at least the \
steps of the run, and reset_offset=1

wrote {output}: {output.stat().st_size:,} bytes
load it, where lava-dl 0.6.0 is (Python 3.10), with
  netx.hdf5.Network(net_config="{output}", reset_interval=STEPS, reset_offset=1)
  with as many STEPS as the run has, or more
"""
    )


def test_the_command_overwrites_nothing_unless_forced(demo: Deployment, tmp_path: Path) -> None:
    output = tmp_path / "a.net"
    output.write_text("mine")
    with pytest.raises(OutputExistsError):
        snn_deploy.netx(demo, output=output)
    assert output.read_text() == "mine"
    snn_deploy.netx(demo, output=output, force=True)
    assert output.read_bytes() == demo.files["network.net"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.net"]


def test_without_an_output_the_command_writes_nothing(demo: Deployment) -> None:
    result = snn_deploy.netx(demo)
    assert result.file == ""
    assert "would write" in str(result)
    assert 'net_config="network.net"' in result.load
    with pytest.raises(OptionError, match="an output file needs a name"):
        snn_deploy.netx(demo, output="")


def test_the_command_refuses_what_no_file_holds_and_writes_nothing(
    demo_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = snn_deploy.export(demo_network, target="loihi2", output=tmp_path / "mnist")
    output = tmp_path / "a.net"
    assert cli(["netx", str(deployment.folder), "--output", str(output)]) == 1
    said = capsys.readouterr().err
    assert "which are" in said
    assert "times those stored" in said
    assert "fix: export with --target netx, which chooses numbers that a .net file holds" in said
    assert not output.exists()


def test_an_export_of_a_file_restarts_its_layers_as_netx_does(
    demo_network: Path, tmp_path: Path
) -> None:
    file = tmp_path / "small.net"
    file.write_bytes(write_net(small_chain()).content)
    made = snn_deploy.export(file, reset_interval=9, reset_offset=8, dry_run=True)
    restarts = [population.restart for population in made.program.populations]
    assert restarts == [Restart(interval=9, offset=8), Restart(interval=9, offset=0)]
    assert made.configuration["reset_interval"] == 9
    with pytest.raises(OptionError) as caught:
        snn_deploy.export(demo_network, reset_interval=9, dry_run=True)
    assert str(caught.value) == (
        "error[SNN102]: --reset-interval says something about .net files only\n"
        "  at: --reset-interval\n"
        "  fix: leave --reset-interval out"
    )
