"""Programs as files: equal bytes both ways, and one numbered error for whatever is damaged."""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import LOIHI, programs, random_program, unchecked
from wild_programs import wild_program

from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.errors import ArtifactDamagedError, DeployError, DynamicsError
from snn_deploy.ir.arithmetic import Arithmetic, Decay, Order, Overflow, Register, Sums
from snn_deploy.ir.maps import Dense
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import During, Fires, Reads, State, Tabled
from snn_deploy.ir.program import (
    Bias,
    Chain,
    Current,
    Gain,
    Input,
    Population,
    Program,
    Projection,
)
from snn_deploy.ir.store import ProgramFiles, dump_program, load_program, pack, unpack
from snn_deploy.ir.timing import Refractory, Restart, Table, Window
from snn_deploy.ir.trace import EVERYTHING
from snn_deploy.targets import find_target


@pytest.fixture
def files() -> ProgramFiles:
    return dump_program(random_program(np.random.default_rng(12), LOIHI)[0])


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(programs())
def test_a_program_that_is_stored_and_read_is_stored_as_the_same_bytes(case):
    with unchecked():
        first = dump_program(case[0])
        assert dump_program(load_program(first)) == first


@pytest.mark.parametrize("seed", range(20, 26))
def test_a_program_that_was_stored_computes_the_same(seed):
    program, inputs = random_program(np.random.default_rng(seed))
    read = load_program(dump_program(program))
    with unchecked():
        ours = ReferenceBackend().run(program, inputs, EVERYTHING)
        theirs = ReferenceBackend().run(read, inputs, EVERYTHING)
    for a, b in zip(ours.populations, theirs.populations, strict=True):
        assert set(a.states) == set(b.states)
        assert all(np.array_equal(values, b.states[state]) for state, values in a.states.items())


def same(first: Any, second: Any) -> bool:
    """Return whether two values of a program are equal, types and arrays included."""
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    if is_dataclass(first):
        pairs = ((getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
        return type(first) is type(second) and all(same(*pair) for pair in pairs)
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and first == second


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_every_field_of_a_program_survives_its_files(seed, wild):
    with unchecked():
        rng = np.random.default_rng(seed)
        program = wild_program(rng) if wild else random_program(rng)[0]
        assert same(load_program(dump_program(program)), program)


def test_programs_that_differ_in_one_later_field_have_other_digests():
    program = changed().program()
    digests = [program.digest] + [change.program().digest for change in LATER]
    assert len(set(digests)) == len(LATER) + 1
    assert all(same(load_program(dump_program(c.program())), c.program()) for c in LATER)


@dataclass(frozen=True)
class Changed:
    """A small program with some fields of its parts replaced."""

    population: dict[str, Any]
    current: dict[str, Any]
    projection: dict[str, Any]
    arithmetic: dict[str, Any]
    of_program: dict[str, Any]

    def program(self) -> Program:
        current = replace(Current(decay=number(9)), **self.current)
        neurons = Population(name="n", shape=(2,), decay=number(7), current=current)
        wire = Projection(name="w", source="x", target="n", map=Dense(weight=number([[1], [2]])))
        whole = Program(
            name="small",
            target="cpu",
            arithmetic=replace(find_target("cpu").arithmetic, **self.arithmetic),
            inputs=(Input(name="x", shape=(1,)),),
            populations=(replace(neurons, **self.population),),
            projections=(replace(wire, **self.projection),),
            outputs=(Output(name="y", population="n"),),
        )
        return replace(whole, **self.of_program)


def changed(**parts: dict[str, Any]) -> Changed:
    names = ("population", "current", "projection", "arithmetic", "of_program")
    return Changed(**{name: parts.get(name, {}) for name in names})


def number(value: Any) -> np.ndarray:
    return np.asarray(value, np.int32)


NARROW = Register(bits=9, overflow=Overflow.WRAP)
ROWS = number([[1, 2], [3, 4]])
BIAS = Bias(value=number(3))
LATER = [
    *(changed(of_program={"period": period}) for period in (2, 3)),
    changed(arithmetic={"decay": Decay.SHIFT}),
    changed(arithmetic={"order": Order.ADD_FIRST}),
    changed(arithmetic={"sums": Sums.BY_ROW}),
    changed(arithmetic={"accumulator": NARROW}),
    changed(arithmetic={"accumulator": replace(NARROW, overflow=Overflow.SATURATE_FULL)}),
    changed(arithmetic={"change": NARROW}),
    changed(projection={"into": State.MEMBRANE}),
    changed(projection={"into": State.CURRENT}),
    changed(current={"into_membrane": -1}),
    changed(current={"into_membrane": 0}),
    changed(population={"further": (Current(decay=number(5)),)}),
    changed(
        population={"further": (Current(decay=number(5), chain=Chain(multiplier=number([3, 4]))),)}
    ),
    changed(
        population={
            "further": (
                Current(decay=number(5), chain=Chain(multiplier=number(3), reads=Reads.OLD)),
            )
        }
    ),
    changed(population={"gains": (Gain(into=State.CURRENT, multiplier=number(3)),)}),
    changed(population={"gains": (Gain(into=State.CURRENT, multiplier=number(3), shift=2),)}),
    changed(population={"gains": (Gain(into=State.MEMBRANE, multiplier=number(3)),)}),
    changed(population={"fires": Fires.TERNARY}),
    changed(population={"fires": Fires.TERNARY, "lower": number(-2)}),
    changed(population={"fires": Fires.ROUNDED, "max_spikes": 3}),
    changed(population={"fires": Fires.GRADED}),
    changed(population={"fires": Fires.GRADED, "payload_shift": 3}),
    changed(population={"refractory": Refractory(steps=None)}),
    changed(population={"refractory": Refractory(steps=1)}),
    changed(population={"refractory": Refractory(steps=1, during=During.HELD)}),
    changed(population={"window": Window(first=0, behind=4)}),
    changed(population={"restart": Restart(interval=4)}),
    changed(population={"restart": Restart(interval=4, offset=1)}),
    changed(population={"biases": (BIAS,)}),
    changed(population={"biases": (replace(BIAS, waits=True),)}),
    changed(population={"tables": (Table(what=Tabled.THRESHOLD, rows=ROWS),)}),
    changed(population={"tables": (Table(what=Tabled.THRESHOLD, rows=ROWS, start=1),)}),
    changed(population={"tables": (Table(what=Tabled.THRESHOLD, rows=ROWS, repeats=True),)}),
    changed(population={"tables": (Table(what=Tabled.BIAS, rows=ROWS, into=State.CURRENT),)}),
    changed(population={"tables": (Table(what=Tabled.BIAS, rows=ROWS, into=State.MEMBRANE),)}),
    changed(population={"unit_factor": number([1, 2])}),
]
"""One program for each field that came after the first version of the schema."""


def test_the_digest_follows_every_number():
    seen = {random_program(np.random.default_rng(seed))[0].digest for seed in range(10)}
    assert len(seen) == 10
    program = random_program(np.random.default_rng(3))[0]
    assert program.digest == load_program(dump_program(program)).digest


def test_nothing_in_the_files_tells_when_they_were_made(files):
    with zipfile.ZipFile(io.BytesIO(files.npz)) as archive:
        assert {entry.date_time for entry in archive.infolist()} <= {(1980, 1, 1, 0, 0, 0)}


def document(files: ProgramFiles, change: Callable[[dict], None]) -> ProgramFiles:
    """Return the files with a changed JSON document."""
    tree = json.loads(files.json)
    change(tree)
    return ProgramFiles(json=json.dumps(tree).encode(), npz=files.npz)


def remove(*path: str | int) -> Callable[[dict], None]:
    def change(tree: dict) -> None:
        at = tree["program"]
        for key in path[:-1]:
            at = at[key]
        del at[path[-1]]

    return change


def put(value: object, *path: str | int) -> Callable[[dict], None]:
    def change(tree: dict) -> None:
        at = tree["program"]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        remove("arithmetic"),
        remove("populations", 0, "decay"),
        put("purple", "populations", 0, "fires"),
        put({"array": "a9999"}, "populations", 0, "decay"),
        put({"wrong": "a0000"}, "populations", 0, "decay"),
        put("text", "populations", 0, "decay"),
        put(1.5, "populations", 0, "decay"),
        put(2**40, "populations", 0, "decay"),
        put("wide", "inputs", 0, "shape"),
        put({"kind": "magic"}, "projections", 0, "map"),
        put("dense", "projections", 0, "map"),
        put(-1, "projections", 0, "shift"),
        put(31, "projections", 0, "shift"),
        put(2**40, "projections", 0, "shift"),
        put("nowhere", "projections", 0, "source"),
        put([], "outputs"),
        put(None, "populations"),
        put([[[]]], "projections"),
    ],
)
def test_a_changed_document_is_refused(files, change):
    with pytest.raises(DeployError):
        load_program(document(files, change))


def test_a_document_of_another_schema_is_refused(files):
    def change(tree: dict) -> None:
        tree["schema"] = "snn-deploy/program/99"

    with pytest.raises(ArtifactDamagedError) as caught:
        load_program(document(files, change))
    assert str(caught.value) == (
        "error[SNN603]: this is no program that this version reads: its schema is "
        "'snn-deploy/program/99', not 'snn-deploy/program/1'\n"
        "  at: program.json\n"
        "  fix: read it with the version of snn-deploy that wrote it, or a later one"
    )


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"7", b'{"schema": 1}', b"\xff\xfe"])
def test_what_is_no_document_is_refused(files, text):
    with pytest.raises(ArtifactDamagedError):
        load_program(ProgramFiles(json=text, npz=files.npz))


def test_a_truncated_array_file_is_refused(files):
    for length in range(0, len(files.npz) - 1, 97):
        with pytest.raises(ArtifactDamagedError):
            load_program(ProgramFiles(json=files.json, npz=files.npz[:length]))


def test_what_is_no_array_file_is_refused_in_words():
    with pytest.raises(ArtifactDamagedError) as caught:
        unpack(b"no zip at all")
    assert str(caught.value) == (
        "error[SNN603]: the array file is damaged: File is not a zip file\n"
        "  fix: export the model again"
    )


def test_an_array_file_with_objects_is_refused():
    buffer = io.BytesIO()
    np.savez(buffer, a0000=np.array([print], dtype=object))
    with pytest.raises(ArtifactDamagedError, match="the array file is damaged"):
        unpack(buffer.getvalue())


def test_an_array_that_would_unpack_to_too_much_is_refused_before_it_is_unpacked(files):
    bomb = bytearray(pack({"a0000": np.zeros(4, np.int32)}))
    size = bomb.index((144).to_bytes(4, "little"), bomb.rindex(b"PK\x01\x02"))
    bomb[size : size + 4] = (2**32 - 2).to_bytes(4, "little")
    with pytest.raises(ArtifactDamagedError) as caught:
        unpack(bytes(bomb))
    assert str(caught.value) == (
        "error[SNN603]: a0000.npy would unpack to 4294967294 bytes, at most 2147483648 are read\n"
        "  fix: SNN_DEPLOY_LIMITS=2 raises all limits on sizes, for a file that you trust"
    )


FILES = dump_program(random_program(np.random.default_rng(12), LOIHI)[0])


@settings(max_examples=300)
@given(st.data())
def test_a_file_with_changed_bytes_is_read_or_refused_but_nothing_else(data):
    arrays = data.draw(st.booleans())
    content = bytearray(FILES.npz if arrays else FILES.json)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    files = (
        ProgramFiles(json=FILES.json, npz=bytes(content))
        if arrays
        else ProgramFiles(json=bytes(content), npz=FILES.npz)
    )
    with unchecked(), suppress(DeployError):
        load_program(files)


@given(st.integers(0, 2**16))
def test_arrays_that_are_packed_come_back(seed):
    rng = np.random.default_rng(seed)
    arrays = {
        f"a{n}": rng.integers(-9, 9, rng.integers(0, 4, rng.integers(1, 4))) for n in range(3)
    }
    back = unpack(pack(arrays))
    assert list(back) == list(arrays)
    assert all(np.array_equal(back[key], arrays[key]) for key in arrays)
    assert pack(back) == pack(arrays)


@pytest.mark.parametrize("bits", [-1, 0, 1, 33, 10**9])
def test_a_register_of_nonsense_width_is_refused(bits):
    with pytest.raises(DynamicsError) as caught:
        Register(bits=bits, overflow=Overflow.SATURATE)
    assert str(caught.value) == f"error[SNN207]: a register of {bits} bits; it has 2 to 32"


def test_decays_of_nonsense_width_are_refused():
    register = Register(bits=24, overflow=Overflow.SATURATE)
    with pytest.raises(DynamicsError, match="decays of 31 fraction bits; they have 0 to 30"):
        Arithmetic(current=register, membrane=register, decay_bits=31)
