"""Profiles as files: those that come with the package, and a user's own by path."""

import math
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from snn_deploy.deploy.energy.events import Event
from snn_deploy.deploy.energy.profile import (
    JOULE,
    SECOND,
    WATT,
    Barrier,
    Price,
    Profile,
    Seen,
)
from snn_deploy.errors import ProfileError, UnknownNameError
from snn_deploy.ir.paths import is_file
from snn_deploy.ir.words import nearest
from snn_deploy.targets.form import Problem, read_form
from snn_deploy.targets.own_file import content_of, refusal

ENDING = ".toml"

ONLY_TIME = (Event.STEP, Event.MESSAGE_IN)
ONLY_ENERGY = (Event.STATIC,)


@cache
def profiles() -> tuple[Profile, ...]:
    """Return the profiles that come with the package, by name."""
    folder = resources.files("snn_deploy.deploy.energy") / "profiles"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(ENDING)), key=lambda f: f.name)
    return tuple(read_profile(file.read_bytes(), file.name) for file in files)


def find_profile(name: str) -> Profile:
    """Return the profile called `name`, or the one in the TOML file of this path.

    Raises:
        UnknownNameError: there is none.
        ProfileError: the file holds none.
    """
    for profile in profiles():
        if profile.name == name:
            return profile
    if name.endswith(ENDING):
        return _own(Path(name))
    names = [profile.name for profile in profiles()]
    longer = next((known for known in names if known.startswith(f"{name}-")), "")
    raise UnknownNameError(
        f"no energy profile is called {name!r}; there are {', '.join(names)}",
        fix=f"--profile {longer or nearest(name, names) or names[0]}",
    )


def read_profile(content: bytes, where: str) -> Profile:
    """Return the profile that a TOML text describes.

    Args:
        content: The text.
        where: The file, for errors.

    Raises:
        ProfileError: it is no TOML, or an entry is missing, unknown, of a wrong type or out of
            range. All of them are listed.
    """
    try:
        tables = msgspec.toml.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise ProfileError(
            f"not an energy profile: {problem}",
            where=where,
            fix="write it like docs/energy.md; the format is TOML",
        ) from problem
    problems: list[Problem] = []
    profile = read_form(Profile, tables, "", problems)
    if not problems:
        assert isinstance(profile, Profile)
        problems = list(_problems(profile))
        if not problems:
            return profile
    raise refusal(
        problems, where, "energy profile", ProfileError, "docs/energy.md explains every entry"
    )


def _own(path: Path) -> Profile:
    if not is_file(path):
        raise UnknownNameError(
            f"there is no energy profile {str(path)!r}",
            fix=f"give the path of a TOML file, or a name such as {profiles()[0].name}",
        )
    fix = "give the TOML file of a profile"
    content = content_of(path, "an energy profile", ProfileError, fix)
    profile = read_profile(content, str(path))
    for shipped in profiles():
        if shipped.name == profile.name and shipped != profile:
            raise ProfileError(
                f"a profile called {profile.name} comes with this program, and this one differs",
                where=str(path),
                fix=f'name = "my-{profile.name}" in the file',
            )
    return profile


def _problems(profile: Profile) -> Iterator[Problem]:
    """Yield what is wrong with numbers, units and sources that are there."""
    for name, entries, refused in (
        ("prices", profile.prices, ONLY_TIME),
        ("times", profile.times, ONLY_ENERGY),
    ):
        seen = Counter(entry.event for entry in entries)
        for index, entry in enumerate(entries):
            path, event = f"{name}[{index}]", entry.event
            if event in refused:
                yield Problem(
                    path=f"{path}.event",
                    message=f"{event.value} has no {'energy' if name == 'prices' else 'time'}",
                    fix=f"put it among the {'times' if name == 'prices' else 'prices'}",
                )
                continue
            if seen[event] > 1:
                yield Problem(
                    path=f"{path}.event",
                    message=f"{event.value} stands {seen[event]} times",
                    fix="keep one of them",
                )
            units = SECOND if name == "times" else WATT if event is Event.STATIC else JOULE
            yield from _number_problems(entry, path, tuple(units))
    for index, barrier in enumerate(profile.barriers):
        path = f"barriers[{index}]"
        yield from _number_problems(barrier, path, tuple(SECOND))
        for what, number in (("tiles", barrier.tiles), ("chips", barrier.chips)):
            if number < 1:
                yield Problem(path=f"{path}.{what}", message=f"{number} is below 1", fix="1")
    shares = () if profile.band is None else (profile.band.energy, profile.band.time)
    for what, share in zip(("energy", "time"), shares, strict=False):
        if share is not None and not 0 <= share < math.inf:
            yield Problem(
                path=f"band.{what}", message=f"{share:g} is no share", fix="a share such as 0.1"
            )


def _number_problems(
    entry: Price | Barrier, path: str, units: tuple[str, ...]
) -> Iterator[Problem]:
    if entry.unit not in units:
        yield Problem(
            path=f"{path}.unit",
            message=f"{entry.unit!a:.40} is none of {', '.join(units)}",
            fix=f'unit = "{units[1]}"',
        )
    if not 0 <= entry.low <= entry.value <= entry.high < math.inf:
        yield Problem(
            path=path,
            message=f"low {entry.low:g}, value {entry.value:g}, high {entry.high:g} are not in "
            "this order, or below 0",
            fix="0 <= low <= value <= high; all three equal where one figure is known",
        )
    for what, text in (("source", entry.source), ("via", entry.via)):
        needed = what == "source" or entry.seen is Seen.QUOTED
        if needed and not text.strip():
            yield Problem(path=f"{path}.{what}", message="is empty", fix="say where it was seen")
