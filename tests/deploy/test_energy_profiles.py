"""Profiles are files: those that come with the package, and a user's own, held to its rules."""

from pathlib import Path

import pytest

from snn_deploy.deploy.energy import (
    Event,
    Grade,
    LayerCount,
    Seen,
    estimate,
    find_profile,
    profiles,
    read_profile,
)
from snn_deploy.errors import ProfileError, UnknownNameError

PRICE = """
[[prices]]
event = "synapse-dense"
value = 5.5
low = 5
high = 6.5
unit = "pJ"
grade = "measured"
seen = "read"
source = "page 3"
"""
HEAD = 'name = "mine"\nchip = "Mine"\ntitle = "My chip"\n'


def refused(text: str) -> str:
    with pytest.raises(ProfileError) as problem:
        read_profile(text.encode(), "mine.toml")
    return str(problem.value)


def test_every_number_says_where_it_was_seen() -> None:
    for profile in profiles():
        for entry in (*profile.prices, *profile.times, *profile.barriers):
            assert entry.source
            assert bool(entry.via) == (entry.seen is Seen.QUOTED), (profile.name, entry)
        assert len({p.event for p in profile.prices}) == len(profile.prices)


def test_the_tables_of_the_sources_are_in_the_profiles() -> None:
    sanafe, davies = find_profile("loihi1-sanafe"), find_profile("loihi1-davies")
    assert sanafe.price(Event.MESSAGE).span.value == pytest.approx(111e-12)
    assert sanafe.time(Event.SPIKE).span.value == pytest.approx(30e-9)
    assert davies.price(Event.HOP_NORTH_SOUTH).span.value == pytest.approx(4e-12)
    assert davies.price(Event.SYNAPSE_DENSE).grade is Grade.SIMULATED
    found = {tiles: sanafe.barrier(tiles, 1).span.value for tiles in (1, 2, 3, 4, 28, 29, 32)}
    assert found == pytest.approx(
        {1: 0.6e-6, 2: 1e-6, 3: 1e-6, 4: 1.4e-6, 28: 1.4e-6, 29: 1.8e-6, 32: 1.8e-6}
    )
    assert sanafe.barrier(40, 2).span.value == pytest.approx(15.2e-6)
    assert find_profile("loihi2").prices == ()


def test_a_profile_of_ones_own_is_found_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(HEAD + PRICE)
    found = find_profile(str(file))
    layer = LayerCount(layer="a", neurons=1, counts={Event.SYNAPSE_DENSE: 2.0, Event.SPIKE: 1.0})
    result = estimate([layer], found, note="", samples=1, steps=1)
    assert (result.low, result.value, result.high) == pytest.approx((10e-12, 11e-12, 13e-12))
    assert [(item.what, item.reason) for item in result.unpriced] == [
        ("spike generation", "the profile has no price for it"),
        ("time", "the profile has no times"),
    ]


def test_odin_at_two_clocks_takes_what_was_measured() -> None:
    folder = Path(__file__).parents[2] / "benchmarks" / "energy"
    for name, operations, watts in (
        ("odin", 37.5e6, 477e-6),
        (str(folder / "odin-1.3mhz.toml"), 650e3, 35e-6),
    ):
        profile = find_profile(name)
        static, each = (profile.price(e) for e in (Event.STATIC, Event.SYNAPSE_DENSE))
        assert static is not None
        assert each is not None
        predicted = static.span.value + each.span.value * operations
        assert predicted == pytest.approx(watts, rel=0.003)
        time = profile.time(Event.SYNAPSE_DENSE)
        assert time is not None
        assert time.span.value * operations == pytest.approx(1, rel=1e-3)


def test_what_has_no_price_is_never_zero() -> None:
    layer = LayerCount(layer="a", neurons=1, counts={Event.SYNAPSE_DENSE: 2.0})
    result = estimate([layer], find_profile("loihi2"), note="", samples=1, steps=1)
    assert result.value != result.value  # NaN
    assert result.by_event == {}


def test_a_band_widens_both_ends() -> None:
    band = '[band]\nenergy = 0.1\nsource = "ten networks"\n'
    layer = LayerCount(layer="a", neurons=1, counts={Event.SYNAPSE_DENSE: 1.0})
    profile = read_profile((HEAD + PRICE + band).encode(), "mine.toml")
    result = estimate([layer], profile, note="", samples=1, steps=1)
    assert (result.low, result.high) == pytest.approx((5e-12 * 0.9, 6.5e-12 * 1.1))


@pytest.mark.parametrize(
    ("change", "path", "message", "fix"),
    [
        (
            ('"synapse-dense"', '"synapse-dens"'),
            "prices[0].event",
            "'synapse-dens' is none of synapse-dense, synapse-sparse, synapse-convolution, "
            "multiply, synapse-stored, neuron-access, neuron-update, spike, message, message-in, "
            "message-chip, hop-east-west, hop-north-south, static, step",
            'prices[0].event = "synapse-dense"',
        ),
        (
            ("low = 5", "low = 5.6"),
            "prices[0]",
            "low 5.6, value 5.5, high 6.5 are not in this order, or below 0",
            "0 <= low <= value <= high; all three equal where one figure is known",
        ),
        (
            ("5.5", "nan"),
            "prices[0]",
            "low 5, value nan, high 6.5 are not in this order, or below 0",
            "0 <= low <= value <= high; all three equal where one figure is known",
        ),
        (
            ('"pJ"', '"ns"'),
            "prices[0].unit",
            "'ns' is none of fJ, pJ, nJ, uJ, J",
            'unit = "pJ"',
        ),
        (('"read"', '"quoted"'), "prices[0].via", "is empty", "say where it was seen"),
        (('"page 3"', '" "'), "prices[0].source", "is empty", "say where it was seen"),
        (
            ("value = 5.5", 'value = "5"'),
            "prices[0].value",
            "'5' is not a number",
            "prices[0].value is a number",
        ),
        (("value = 5.5\n", ""), "prices[0].value", "this entry is missing", "add prices[0].value"),
        (("seen =", "saw ="), "", "", ""),
        (
            ('event = "synapse-dense"', 'event = "step"'),
            "prices[0].event",
            "step has no energy",
            "put it among the times",
        ),
        (
            (PRICE, PRICE.replace("prices", "times").replace("synapse-dense", "static")),
            "times[0].event",
            "static has no time",
            "put it among the prices",
        ),
    ],
)
def test_a_wrong_entry_is_named(change: tuple[str, str], path: str, message: str, fix: str) -> None:
    said = refused((HEAD + PRICE).replace(*change))
    if path:
        assert said == f"error[SNN401]: {message}\n  at: mine.toml, {path}\n  fix: {fix}"
    else:
        assert said == (
            "error[SNN401]: 2 entries of the energy profile are wrong\n"
            "    prices[0].saw: there is no such entry: leave it out\n"
            "    prices[0].seen: this entry is missing: add prices[0].seen\n"
            "  at: mine.toml\n"
            "  fix: docs/energy.md explains every entry"
        )


def test_an_event_with_two_prices_a_barrier_of_nothing_and_a_negative_band_are_refused() -> None:
    text = HEAD + PRICE + PRICE
    text += '[[barriers]]\ntiles = 0\nvalue = 1\nlow = 1\nhigh = 1\nunit = "us"\n'
    text += 'grade = "vendor"\nseen = "read"\nsource = "a"\n[band]\ntime = -1\nsource = "b"\n'
    assert refused(text) == (
        "error[SNN401]: 4 entries of the energy profile are wrong\n"
        "    prices[0].event: synapse-dense stands 2 times: keep one of them\n"
        "    prices[1].event: synapse-dense stands 2 times: keep one of them\n"
        "    barriers[0].tiles: 0 is below 1: 1\n"
        "    band.time: -1 is no share: a share such as 0.1\n"
        "  at: mine.toml\n"
        "  fix: docs/energy.md explains every entry"
    )


def test_a_text_that_is_no_toml_is_refused() -> None:
    said = refused("name = ")
    assert said.startswith("error[SNN401]: not an energy profile: ")
    assert said.endswith(
        "\n  at: mine.toml\n  fix: write it like docs/energy.md; the format is TOML"
    )


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UnknownNameError) as problem:
        find_profile("nowhere/mine.toml")
    assert str(problem.value) == (
        "error[SNN101]: there is no energy profile 'nowhere/mine.toml'\n"
        "  fix: give the path of a TOML file, or a name such as horowitz-45nm"
    )


def test_a_file_with_the_name_of_a_shipped_profile_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(HEAD.replace("mine", "odin") + PRICE)
    with pytest.raises(ProfileError) as problem:
        find_profile(str(file))
    assert str(problem.value) == (
        "error[SNN401]: a profile called odin comes with this program, and this one differs\n"
        f'  at: {file}\n  fix: name = "my-odin" in the file'
    )
    file.write_text(HEAD + PRICE)
    assert find_profile(str(file)).name == "mine"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(HEAD + PRICE + "#" * 2**20)
    with pytest.raises(ProfileError) as problem:
        find_profile(str(file))
    assert str(problem.value) == (
        "error[SNN401]: an energy profile has at most 1048576 bytes; this file has more\n"
        f"  at: {file}\n  fix: give the TOML file of a profile. Or SNN_DEPLOY_LIMITS=2 raises all "
        "limits on sizes, for a file that you trust"
    )
