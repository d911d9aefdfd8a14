"""The traps of Loihi and of Lava: each has a test that fails without its guard.

What is here, and what stands elsewhere:

- Lava checks no range: here; lava/test_plan.py: our_own_neuron_is_taken_because,
  a_projection_becomes, what_cannot_be_known_before_a_run
- Lava hangs after an error: lava/test_child.py; lava/test_lava.py: an_error_inside_a_lava_process
- parameters must be plain whole numbers: here
- mixed weights are even, in -256..254, their sign is stated: here; lava/test_lava.py:
  lava_computes_the_same_with; quantize/test_ranges.py: a_weight_that_the_chip_does_not_store
- Dense behind Dense loses values: here; quantize/test_fold.py: a_folded_map_computes_exactly
- other spikes than 0 and 1 need message bits: lava/test_plan.py: only_sources_of_0_and_1
- Conv clips and rounds nothing and ignores exponents, Sparse clips and rounds: here;
  lava/test_plan.py: a_projection_becomes; lava/test_lava.py: lava_computes_the_same_with
- u wraps, v saturates: here; backends/test_reference.py: the_current_wraps_once,
  the_membrane_saturates; quantize/test_ranges.py: a_membrane_without_leak_or_reset
- Loihi2HwCfg without Intel's extension: here; lava/test_hardware.py: without_the_extension
- lava.utils.profiler warns without the extension: the runner does not import it: here
- Lava runs every file beside a Process again: here
"""

import ast
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from networks import random_network
from strategies import LOIHI, random_program, unchecked

from snn_deploy.backends.lava import LavaBackend, make_plan
from snn_deploy.backends.lava.plan import Connection
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import DeployError, DoesNotFitError
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.maps import Composition, Convolution, Dense, LinearMap, to_sparse
from snn_deploy.ir.network import (
    Input,
    Network,
    Output,
    Population,
    Projection,
    Reset,
    Synapse,
)
from snn_deploy.ir.neuron import Decode, Fires, ResetKind, State
from snn_deploy.ir.program import Program, Role, Sign
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import Options, check_program, compile_network
from snn_deploy.targets import find_target

LOIHI2 = find_target("loihi2")
RNG = np.random.default_rng(16)
MIXED = RNG.integers(-16, 17, (6, 5)) / 7


QUICK = Options(search=False)


def real(number: object) -> np.ndarray:
    return np.asarray(number, np.float64)


def network(linear: LinearMap, **changes: object) -> Network:
    """Return an input and one layer of neurons that reset to 0."""
    standard = {"decay": real(0.9), "threshold": real(1), "reset": Reset(kind=ResetKind.VALUE)}
    return Network(
        name="trap",
        inputs=(Input(name="in", shape=linear.in_shape),),
        populations=(Population(name="out", shape=linear.out_shape, **(standard | changes)),),
        projections=(Projection(name="way", source="in", target="out", map=linear),),
        outputs=(Output(name="answer", population="out", decode=Decode.MEMBRANE_END),),
    )


# -- ranges ---------------------------------------------------------------------------------------


def assert_stored(program: Program) -> None:
    """Check every number of a program against what Loihi 2 and Lava store."""
    for projection in program.projections:
        weight = projection.map.numbers()
        low, high, step = {
            Sign.MIXED: (-256, 254, 2),
            Sign.EXCITATORY: (0, 255, 1),
            Sign.INHIBITORY: (-255, 0, 1),
        }[projection.sign]
        assert weight.size == 0 or (low <= weight.min() and weight.max() <= high)
        assert not np.any(weight % step)
        assert 6 <= projection.shift <= 13
        assert projection.delay.min(initial=1) >= 1
        assert projection.delay.max(initial=1) <= 63
    for population in program.populations:
        if population.role is not Role.NEURONS:
            continue
        assert 1 <= population.decay.min() <= population.decay.max() <= 4096
        for current in population.currents:
            assert 0 <= current.decay.min() <= current.decay.max() <= 4095
        if population.fires is not Fires.NEVER:
            assert not np.any(population.threshold % 64)
            assert 0 <= population.threshold.min() <= population.threshold.max() <= 131071 * 64


def test_a_compiled_program_holds_only_numbers_that_the_chip_stores() -> None:
    compiled = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        drawn = random_network(rng)
        scale = 10.0 ** rng.integers(-6, 7)
        wide = tuple(
            replace(p, map=p.map.with_numbers(p.map.numbers() * scale))
            if not isinstance(p.map, Composition)
            else p
            for p in drawn.projections
        )
        with unchecked():
            try:
                wild = replace(drawn, projections=wide)
                program = compile_network(wild, LOIHI2, options=QUICK).program
            except DeployError:
                continue
        assert_stored(program)
        compiled += 1
    assert compiled > 8


def test_every_parameter_that_lava_is_given_is_a_plain_whole_number() -> None:
    def numbers(found: object) -> list[object]:
        if isinstance(found, dict | list):
            inner = found.values() if isinstance(found, dict) else found
            return [number for item in inner for number in numbers(item)]
        return [found] if isinstance(found, int | float) else []

    for seed in range(20):
        program, _ = random_program(np.random.default_rng(seed), LOIHI)
        files = LavaBackend().emit(program, LOIHI2)
        plan = make_plan(program)
        assert {type(number) for number in numbers(json.loads(files["lava_plan.json"]))} <= {int}
        for population in plan.populations:
            for group in population.groups:
                given = (group.du, group.dv, group.vth, group.vth_lo, group.bias_exponent)
                assert {type(number) for number in given} == {int}


# -- weights --------------------------------------------------------------------------------------


def test_weights_of_both_signs_are_even_and_their_sign_is_stated() -> None:
    program = compile_network(network(Dense(weight=MIXED)), LOIHI2).program
    assert program.projections[0].sign is Sign.MIXED
    assert not np.any(program.projections[0].map.numbers() % 2)
    one_signed = compile_network(network(Dense(weight=np.abs(MIXED))), LOIHI2).program
    assert one_signed.projections[0].sign is Sign.EXCITATORY
    assert np.any(one_signed.projections[0].map.numbers() % 2)


@pytest.mark.parametrize("odd", [3, 255, -257, 256])
def test_a_weight_that_lava_would_round_or_clip_is_refused_and_is_not_run_as_stock(
    odd: int,
) -> None:
    program = compile_network(network(Dense(weight=MIXED)), LOIHI2).program
    weight = program.projections[0].map.numbers().copy()
    weight[0, 0] = odd
    changed = replace(program.projections[0], map=Dense(weight=weight))
    program = replace(program, projections=(changed,))
    with pytest.raises(DoesNotFitError):
        check_program(program, LOIHI2)
    assert make_plan(program).projections[0].process is Connection.OWN


def test_two_linear_layers_in_a_row_are_one_connection_of_lava() -> None:
    first, second = (
        Dense(weight=np.array([[2.0, -1.0], [1.0, 3.0]])),
        Dense(weight=np.array([[1.0, -1.0], [4.0, 2.0], [0.0, 1.0]])),
    )
    both = network(Composition(stages=(first, second)), decay=real(1), fires=Fires.NEVER)
    program = compile_network(both, LOIHI2).program
    assert [p.process for p in make_plan(program).projections] == [Connection.DENSE]
    (unit,) = {float(p.unit) for p in program.populations}
    inputs = (Values(name="in", values=np.array([[[1, 0], [0, 1], [1, 1]]], np.int32)),)
    membrane = ReferenceBackend().run(program, inputs, EVERYTHING)["out"].states[State.MEMBRANE]
    wanted = simulate(both, inputs, EVERYTHING)["out"].states[State.MEMBRANE]
    assert np.array_equal(membrane[0, 1:] * unit, wanted[0])


def kernel(**changes: object) -> Program:
    weight = np.random.default_rng(3).integers(-16, 17, (3, 2, 3, 3)) / 7
    linear = Convolution(weight=weight, source=(2, 6, 6), padding=(1, 1, 1, 1))
    program = compile_network(network(linear), LOIHI2).program
    return replace(program, projections=(replace(program.projections[0], **changes),))


def test_a_kernel_is_on_the_chips_grid_because_lavas_conv_does_not_put_it_there() -> None:
    program = kernel(shift=6)
    assert make_plan(program).projections[0].process is Connection.CONV
    assert_stored(program)
    assert make_plan(kernel(shift=13)).projections[0].process is Connection.SPARSE


def test_a_kernel_gives_the_same_sums_as_the_synapses_that_it_becomes() -> None:
    program = kernel()
    way = program.projections[0]
    listed = replace(program, projections=(replace(way, map=to_sparse(way.map)),))
    assert make_plan(listed).projections[0].process is Connection.SPARSE
    values = RNG.integers(0, 2, (2, 20, 2, 6, 6)).astype(np.int32)
    inputs = (Values(name="in", values=values),)
    whole = ReferenceBackend().run(program, inputs, EVERYTHING)["out"]
    parts = ReferenceBackend().run(listed, inputs, EVERYTHING)["out"]
    assert whole.spikes.any()
    assert all(np.array_equal(parts.states[state], whole.states[state]) for state in whole.states)


def test_a_kernel_that_sparse_would_clip_or_round_is_run_by_neither() -> None:
    program = kernel()
    weight = program.projections[0].map.numbers()
    for wrong in (weight * 9, weight + 1):
        linear = program.projections[0].map.with_numbers(wrong)
        assert make_plan(kernel(map=linear)).projections[0].process is Connection.OWN


# -- registers ------------------------------------------------------------------------------------


def test_a_current_that_its_weights_drive_over_the_edge_is_told_with_what_it_may_reach() -> None:
    synapse, many = Synapse(decay=real(4095 / 4096)), np.full((1, 20), 1.0)
    slow = network(Dense(weight=many), synapse=synapse, fires=Fires.NEVER, reset=Reset())
    compiled = compile_network(slow, LOIHI2, encoding=Encoding(high=3))
    (way,) = compiled.program.projections
    sums = int(way.map.numbers().sum()) * 3 << way.shift
    told = [str(f) for f in compiled.findings if "the current" in str(f)]
    (reached,) = {
        int(n) for n in re.findall(r"the current of neuron \[0\] may reach (\d+)", told[0])
    }
    # the decay rounds toward zero, so the sum of the series is not reached
    assert 2**23 < reached <= sums * 4096
    assert "wraps" in told[0]
    steps = 2**23 // sums + 400
    ones = (Values(name="in", values=np.full((1, steps, 20), 3, np.int32)),)
    assert ReferenceBackend().run(compiled.program, ones, EVERYTHING)["out"].overflows > 0


# -- Lava's files ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runner() -> dict[str, ast.Module]:
    """Return the parsed modules of the runner."""
    files = LavaBackend().emit(kernel(), LOIHI2)
    return {path: ast.parse(text) for path, text in files.items() if path.endswith(".py")}


def imported(tree: ast.AST) -> set[str]:
    """Return the modules and names that some code imports."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {getattr(node, "module", None) or "" for node in found}
    return modules | {alias.name for node in found for alias in node.names}


def test_what_needs_intels_extension_is_imported_behind_the_check_that_it_is_there(
    runner: dict[str, ast.Module],
) -> None:
    path = "snn_lava/hardware.py"
    behind = {node.name for node in runner[path].body if isinstance(node, ast.FunctionDef)
              if "Loihi2HwCfg" in imported(node)}  # fmt: skip
    assert behind == {"_extension"}
    for other, tree in runner.items():
        functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in behind]
        tree.body = [node for node in tree.body if other != path or node not in functions]
        names = imported(tree)
        assert not [name for name in names if "HwCfg" in name or "profiler" in name], other


def test_our_processes_stand_where_lava_may_run_every_file_again(
    runner: dict[str, ast.Module],
) -> None:
    inert = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    bases = {
        path: {
            ast.unparse(base)
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            for base in node.bases
        }
        for path, tree in runner.items()
    }
    homes = {path.rsplit("/", 1)[0] for path, found in bases.items() if "AbstractProcess" in found}
    assert homes == {"snn_lava/processes"}
    for path, tree in runner.items():
        if path.startswith("snn_lava/processes/"):
            for node in tree.body:
                docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                assert docstring or isinstance(node, inert), ast.unparse(node)
