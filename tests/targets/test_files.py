"""A user's own target works by path wherever a name does; whatever is wrong in it is named."""

import json
import os
from pathlib import Path

import pytest

import snn_deploy.targets
from snn_deploy.errors import TargetError, UnknownNameError
from snn_deploy.ir.arithmetic import Overflow
from snn_deploy.targets import (
    Feature,
    Target,
    find_target,
    read_stored_target,
    shipped_targets,
)

SHIPPED = {
    target.name: (Path(snn_deploy.targets.__file__).parent / f"{target.name}.toml").read_text()
    for target in shipped_targets()
}


def refused(file: Path) -> str:
    with pytest.raises(TargetError) as caught:
        find_target(str(file))
    return str(caught.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_copy_of_a_shipped_target_under_another_name_is_that_target(
    name: str, tmp_path: Path, own_target
) -> None:
    found, shipped = find_target(str(own_target(tmp_path, like=name))), find_target(name)
    assert (found.name, found.aliases) == ("mine", ())
    assert found.entries() == shipped.entries()
    assert found.arithmetic == shipped.arithmetic


@pytest.mark.parametrize("target", shipped_targets(), ids=lambda t: t.name)
def test_every_number_of_a_shipped_target_has_a_source(target: Target) -> None:
    assert len(target.entries()) > 20
    for entry in target.entries():
        assert entry.source.strip(), entry.path
        ruled = entry.path.startswith(("features.", "lacks.", "states.rules"))
        assert entry.unit.strip() or ruled, entry.path
    assert len({entry.path for entry in target.entries()}) == len(target.entries())


def test_names_and_aliases_are_told_apart() -> None:
    names = [name for target in shipped_targets() for name in (target.name, *target.aliases)]
    assert len(names) == len(set(names))
    assert find_target("loihi") is find_target("loihi2") is not find_target("loihi1")


def test_an_unknown_name_is_told_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_target("cpuu")
    names = sorted(name for t in shipped_targets() for name in (t.name, *t.aliases))
    assert str(caught.value) == (
        f"error[SNN101]: no target is called 'cpuu'; there are {', '.join(names)}\n"
        "  fix: --target cpu"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_target(str(tmp_path / "gone.toml"))
    assert str(caught.value) == (
        f"error[SNN101]: there is no target description '{tmp_path}/gone.toml'\n"
        "  fix: give the path of a TOML file, or a name: snn-deploy targets"
    )


ONE_WRONG = {
    "an unknown entry": (
        ('title = "ideal', 'titel = "x"\ntitle = "ideal'),
        ("there is no such entry", "titel", "leave it out"),
    ),
    "a misspelt entry": (
        ("shift = { value = 6", "shift = { valeu = 1, value = 6"),
        ("there is no such entry", "weights.shift.valeu", "leave it out"),
    ),
    "a missing entry": (
        ('payload]\nlow = -8388608\n', "payload]\n"),
        ("this entry is missing", "payload.low", "add payload.low"),
    ),
    "a missing source": (
        ('[payload]\nlow = -8388608\nhigh = 8388607\nunit = "1"\nsource = "our choice"',
         '[payload]\nlow = -8388608\nhigh = 8388607\nunit = "1"'),
        ("this entry is missing", "payload.source", "add payload.source"),
    ),
    "an empty source": (
        ('unit = "1"\nsource = "our choice"', 'unit = "1"\nsource = " "'),
        ("this text is empty", "payload.source", "say where the number was read"),
    ),
    "a fraction": (
        ("decay_bits = { value = 12", "decay_bits = { value = 12.0"),
        ("12.0 is not a whole number", "states.decay_bits.value",
         "states.decay_bits.value is a whole number"),
    ),
    "a truth value": (
        ("decay_bits = { value = 12", "decay_bits = { value = true"),
        ("True is not a whole number", "states.decay_bits.value",
         "states.decay_bits.value is a whole number"),
    ),
    "a number for a text": (
        ('title = "ideal integer processor"', "title = 7"),
        ("7 is not a text in quotes", "title", "title is a text in quotes"),
    ),
    "a missing table": (
        ('[delay]\nlow = 0\nhigh = 65535\nunit = "step"\nsource = "our choice"', ""),
        ("this entry is missing", "delay", "add delay"),
    ),
    "a number for a table": (
        ("bits = { value = 8, unit = \"bit\", source = \"our choice\" }", "bits = 8"),
        ("8 is not a table", "weights.bits", "weights.bits is a table"),
    ),
    "a table for an array": (
        ('energy_profile = "horowitz-45nm"', "aliases = {}"),
        ("a table is not an array", "aliases", "aliases is an array"),
    ),
    "an unknown overflow rule": (
        ('membrane = { bits = 32, overflow = "saturate"',
         'membrane = { bits = 32, overflow = "saturat"'),
        (f"'saturat' is none of {', '.join(rule.value for rule in Overflow)}",
         "states.membrane.overflow", 'states.membrane.overflow = "saturate"'),
    ),
    "an unknown feature": (
        ('feature = "floor"', 'feature = "flor"'),
        (f"'flor' is none of {', '.join(feature.value for feature in Feature)}",
         "features[6].feature", 'features[6].feature = "floor"'),
    ),
    "a feature twice": (
        ('feature = "floor"', 'feature = "readout"'),
        ("readout stands there twice", "features[10].feature", "leave one of them out"),
    ),
    "a register too wide": (
        ("current = { bits = 32", "current = { bits = 33"),
        ("33 lies outside 2..32", "states.current.bits", "states.current.bits = 32"),
    ),
    "a shift without end": (
        ("shift = { value = 6", "shift = { value = " + "9" * 100),
        ("a number of 333 bits lies outside 0..24", "weights.shift.value",
         "weights.shift.value = 24"),
    ),
    "a threshold that does not fit a program": (
        ("mantissa = { low = -16777215, high = 16777215",
         "mantissa = { low = -16777215, high = 99777215"),
        ("99777215 lies outside -33554431..33554431", "thresholds.mantissa.high",
         "thresholds.mantissa.high = 33554431"),
    ),
    "an empty range": (
        ("[delay]\nlow = 0\nhigh = 65535", "[delay]\nlow = 3\nhigh = 2"),
        ("low is 3, above high, 2", "delay", "exchange them"),
    ),
    "a negative delay": (
        ("[delay]\nlow = 0", "[delay]\nlow = -1"),
        ("-1 lies outside 0..2147483647", "delay.low", "delay.low = 0"),
    ),
    "positive inhibition": (
        ("inhibitory = { low = -255, high = 0", "inhibitory = { low = -255, high = 1"),
        ("1 lies outside -65536..0", "weights.inhibitory.high", "weights.inhibitory.high = 0"),
    ),
    "a step of 0": (
        ("low = -127, high = 127, step = 1", "low = -127, high = 127, step = 0"),
        ("0 lies outside 1..65536", "weights.mixed.step", "weights.mixed.step = 1"),
    ),
    "no group": (
        ("[parameter_groups]\nvalue = 2147483647", "[parameter_groups]\nvalue = 0"),
        ("0 lies outside 1..2147483647", "parameter_groups.value", "parameter_groups.value = 1"),
    ),
    "colours for the terminal": (
        ('title = "ideal integer processor"', 'title = "\\u001b[31mred"'),
        ("'\\x1b[31mred' has characters that cannot be printed on a line", "title",
         "use one line of plain text"),
    ),
    "a text without end": (
        ('title = "ideal integer processor"', f'title = "{"x" * 501}"'),
        ("a text of 501 characters; at most 500 are read", "title", "shorten it"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_WRONG)
def test_one_wrong_entry_is_named_with_file_key_and_way_out(
    case: str, tmp_path: Path, own_target
) -> None:
    change, (message, key, fix) = ONE_WRONG[case]
    file = own_target(tmp_path, change)
    assert refused(file) == f"error[SNN400]: {message}\n  at: {file}, {key}\n  fix: {fix}"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, own_target) -> None:
    file = own_target(
        tmp_path,
        ("[payload]", "[payloads]"),
        ("decay_bits = { value = 12", 'decay_bits = { value = "12"'),
        ('support = "native"', 'support = "yes"'),
    )
    assert refused(file) == (
        "error[SNN400]: 4 entries of the target description are wrong\n"
        "    payloads: there is no such entry: call it payload\n"
        "    states.decay_bits.value: '12' is not a whole number: states.decay_bits.value is a "
        "whole number\n"
        "    payload: this entry is missing: add payload\n"
        "    features[0].support: 'yes' is none of native, simulated: features[0].support = "
        '"native"\n'
        f"  at: {file}\n"
        "  fix: docs/targets.md explains every entry; snn-deploy targets cpu --sources shows an "
        "example"
    )


def test_of_many_mistakes_some_are_listed(tmp_path: Path, own_target) -> None:
    file = own_target(tmp_path)
    file.write_text(file.read_text().replace('support = "native"', 'support = "yes"'))
    said = refused(file).splitlines()
    assert said[0] == "error[SNN400]: 26 entries of the target description are wrong"
    assert said[9] == "    and 18 more"


@pytest.mark.parametrize("name", ["cpu", "loihi", "loihi1"])
def test_another_chip_cannot_take_a_shipped_name(name: str, tmp_path: Path, own_target) -> None:
    file = own_target(tmp_path, ('name = "mine"', f'name = "{name}"'), ("value = 12", "value = 11"),
               ("current_multiplier = { low = -4096, high = 4096",
                "current_multiplier = { low = -2048, high = 2048"),
               ("membrane_multiplier = { low = -4096, high = 4096",
                "membrane_multiplier = { low = -2048, high = 2048"))  # fmt: skip
    assert refused(file) == (
        f"error[SNN400]: a target called {name} comes with this program, and this one differs\n"
        f"  at: {file}\n"
        f'  fix: name = "my-{name}" in the file, and no alias of that name'
    )


def test_a_shipped_target_may_be_given_by_path(tmp_path: Path) -> None:
    file = tmp_path / "copy.toml"
    file.write_text(SHIPPED["cpu"])
    assert find_target(str(file)) == find_target("cpu")


HOSTILE = {
    "no text": b"\xff\xfe",
    "brackets without end": b"a = " + b"[" * 9999,
    "digits without end": b"a = " + b"1" * 9999,
    "an array": b"[[x]]",
    "nothing": b"",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_of_something_else_gives_one_numbered_error(case: str, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(HOSTILE[case])
    assert refused(file).startswith("error[SNN400]: ")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"#" * (2**20 + 1))
    assert refused(file) == (
        "error[SNN400]: a target description has at most 1048576 bytes; this file has more\n"
        f"  at: {file}\n"
        "  fix: give the TOML file of a target. Or SNN_DEPLOY_LIMITS=2 raises all limits on sizes, "
        "for a file that you trust"
    )


def test_a_pipe_is_no_description(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.toml")  # reading it would wait for ever
    with pytest.raises(UnknownNameError, match="there is no target description"):
        find_target(str(tmp_path / "x.toml"))


@pytest.mark.parametrize("target", shipped_targets(), ids=lambda t: t.name)
def test_what_an_artifact_stores_of_a_target_is_read_back(target: Target) -> None:
    from snn_deploy.deploy.manifest import json_bytes

    assert read_stored_target(json_bytes(target), "target.json") == target


def test_a_stored_target_is_held_to_the_same_rules() -> None:
    from snn_deploy.deploy.manifest import json_bytes

    record = json.loads(json_bytes(find_target("cpu")))
    record["weights"]["shift"]["value"] = 10**9
    with pytest.raises(TargetError) as caught:
        read_stored_target(json.dumps(record).encode(), "target.json")
    assert str(caught.value) == (
        "error[SNN400]: 1000000000 lies outside 0..24\n"
        "  at: target.json, weights.shift.value\n"
        "  fix: weights.shift.value = 24"
    )
    with pytest.raises(TargetError, match="not a target description"):
        read_stored_target(b"{", "target.json")


def test_the_example_of_the_documentation_is_a_target() -> None:
    example = Path(__file__).parents[2] / "examples" / "targets" / "half-loihi.toml"
    target = find_target(str(example))
    assert (target.name, target.weights.bits.value) == ("half-loihi", 4)
    assert target.arithmetic == find_target("loihi1").arithmetic
    assert (
        str(example.relative_to(example.parents[2]))
        in (example.parents[2] / "docs" / "targets.md").read_text()
    )


def test_the_documentation_names_every_entry_of_a_target() -> None:
    from dataclasses import fields

    text = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
    for entry in fields(Target):
        assert f"`{entry.name}" in text or f"[{entry.name}" in text, entry.name
