"""Tables about the product itself: targets, what is installed, what an error means."""

import inspect
import platform
from importlib.metadata import PackageNotFoundError, entry_points
from importlib.metadata import version as installed

from snn_deploy import errors
from snn_deploy.deploy.results import Listing
from snn_deploy.deploy.version import version
from snn_deploy.errors import DeployError, UnknownNameError
from snn_deploy.targets import find_target, shipped_targets


def targets() -> Listing:
    """Return the chips that are shipped."""
    rows = tuple(
        (t.name, ", ".join(t.aliases), t.title, f"{t.weights.bits} bit", f"{t.delay}")
        for t in shipped_targets()
    )
    return Listing(
        headings=("target", "also", "chip", "weights", "steps per projection"),
        rows=rows,
        note="snn-deploy targets NAME --sources shows every number and where it was read;\n"
        "the path of a TOML file is a name too: docs/targets.md",
    )


def target(name: str, *, sources: bool) -> Listing:
    """Return every number of one chip."""
    width = 4 if sources else 3
    rows = [(e.path, e.value, e.unit, e.source) for e in find_target(name).entries()]
    return Listing(
        headings=("number", "value", "unit", "source")[:width],
        rows=tuple(row[:width] for row in rows),
    )


PACKAGES = ("numpy", "nir", "h5py", "numba", "msgspec", "torch", "norse")


def doctor() -> Listing:
    """Return what is installed and what works."""
    from snn_deploy.backends.lava.environment import describe  # noqa: PLC0415 - on demand

    rows = [("snn-deploy", version(), ""), ("python", platform.python_version(), "")]
    for package in PACKAGES:
        try:
            rows.append((package, installed(package), ""))
        except PackageNotFoundError:
            rows.append((package, "missing", "only needed for norse modules"))
    names = sorted(entry.name for entry in entry_points(group="snn_deploy.backends"))
    rows.append(("backends", ", ".join(names), ""))
    rows.append(("targets", ", ".join(t.name for t in shipped_targets()), ""))
    rows.append(("lava", *describe()))
    return Listing(headings=("part", "state", "note"), rows=tuple(rows))


def explain(code: str) -> str:
    """Return what an error number means.

    Raises:
        UnknownNameError: no error has the number.
    """
    wanted = code.upper() if code.upper().startswith("SNN") else f"SNN{code}"
    classes = {
        c.code: c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, DeployError)
    }
    if wanted not in classes:
        raise UnknownNameError(
            f"no error has the number {wanted}; there are {', '.join(sorted(classes))}"
        )
    found = classes[wanted]
    return f"{wanted} {found.__name__}\n\n{inspect.cleandoc(found.__doc__ or '')}"
