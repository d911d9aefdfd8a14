"""What `tune` does: data apart, a search that can be gone on with, a choice, its price."""

import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from snn_deploy.deploy.artifact import check_outside, write_file
from snn_deploy.deploy.data import Data, data_from
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.importing import CONVERSION_SAMPLES, imported, model_content
from snn_deploy.deploy.locking import check_locks
from snn_deploy.deploy.manifest import json_bytes
from snn_deploy.deploy.net_files import is_net
from snn_deploy.deploy.pools import Pool
from snn_deploy.deploy.progress import bar
from snn_deploy.deploy.request import Request
from snn_deploy.deploy.tuning.apart import Apart, apart
from snn_deploy.deploy.tuning.choosing import chosen, front
from snn_deploy.deploy.tuning.config import config_text
from snn_deploy.deploy.tuning.knobs import space_of
from snn_deploy.deploy.tuning.measuring import Bench, Measured, deployed, measured
from snn_deploy.deploy.tuning.plan import TuningPlan
from snn_deploy.deploy.tuning.plot import front_svg
from snn_deploy.deploy.tuning.results import Point, Saving, Tuning
from snn_deploy.deploy.tuning.setting import Knob, Setting
from snn_deploy.deploy.tuning.space import Space
from snn_deploy.deploy.tuning.study import Asked, Tried, optuna_or_refuse, search
from snn_deploy.deploy.tuning.wanted import Wanted
from snn_deploy.deploy.tuning.workers import Workers
from snn_deploy.deploy.version import version
from snn_deploy.errors import CannotWriteError, DeployError, OptionError, OutputExistsError
from snn_deploy.ir.paths import is_there
from snn_deploy.targets import find_target

JOURNAL, CALIBRATE, CONFIG, PICTURE, RESULT = (
    *("trials.journal", "calibrate.npz", "chosen.toml"),
    *("front.svg", "tune.json"),
)
"""Files of a tuning folder."""

FILES = (CONFIG, PICTURE, RESULT, CALIBRATE, JOURNAL)

OWN = {"bits", "steps", "thresholds", "exit_lead", "exit_after"}
"""Options of an export that tuning sets itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be tuned, on which data, and where the search is kept."""

    model: Any
    """As `api.tune` takes it, like the data below."""

    request: Request
    wanted: Wanted
    data: Any
    test: Any
    """None: a share of `data`."""

    calibrate: Any
    """None: what settings are chosen on."""

    output: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """All that a search begins with."""

    bench: Bench
    samples: Apart
    plain: Deployment
    space: Space


def _ready(job: Job) -> _Ready:
    """Return what is searched; whatever is wrong with it is raised at once."""
    model, request, wanted, calibrate = job.model, job.request, job.wanted, job.calibrate
    _check(model, request)
    optuna_or_refuse()
    check_locks(job.output / JOURNAL)
    content = model_content(model)
    found = imported(model, request, job.data if calibrate is None else calibrate, content=content)
    names = tuple(entry.name for entry in found.network.inputs)
    samples = apart(job.data, job.test, names, wanted)
    given = samples.choose if calibrate is None else data_from(calibrate, names)
    bench = Bench(
        model=model,
        content=content,
        request=request,
        calibrate=Data.of(given.spread(CONVERSION_SAMPLES).arrays),  # numbered as its file is
        data=samples.choose,
        profile=wanted.profile,
    )
    plain = deployed(bench, Setting())
    measured(plain, bench.data.part(0, 1), bench.profile)
    space = space_of(plain, found, bench, wanted)
    return _Ready(bench=bench, samples=samples, plain=plain, space=space)


def plan(job: Job) -> TuningPlan:
    """Return what `tune` would search, and where it would write; nothing is written."""
    ready, wanted, output = _ready(job), job.wanted, job.output
    _refuse_foreign(output)
    return TuningPlan(
        name=ready.plain.program.name,
        target=ready.plain.target.name,
        aims=tuple(aim.value for aim in wanted.aims),
        max_drop=wanted.max_drop,
        trials=wanted.trials,
        sampler=wanted.sampler.value,
        knobs=tuple(ready.space.described()),
        chosen_on=ready.samples.chosen_on,
        tested_on=ready.samples.tested_on,
        folder=str(output),
        files=FILES,
        goes_on=(output / JOURNAL).exists(),
    )


def tune(job: Job, pool: Pool | None) -> Tuning:
    """Return the front and the chosen setting of a network; see `api.tune`."""
    ready, wanted, output = _ready(job), job.wanted, job.output
    bench, plain, space = ready.bench, ready.plain, ready.space
    _open(output)
    _write(output / CALIBRATE, bench.calibrate)
    asked = Asked(
        space=space,
        aims=wanted.aims,
        sampler=wanted.sampler,
        seed=wanted.seed,
        trials=wanted.trials,
        heading=_heading(bench, space, wanted, plain),
    )
    with Workers(bench, pool) as workers, bar("trials", wanted.trials, counted=True) as advance:
        shown = 0

        def tell(done: int) -> None:
            nonlocal shown
            advance(done - shown)
            shown = done

        tried = search(asked, output / JOURNAL, workers.measure, tell)
    done = _Done(
        bench=bench,
        wanted=wanted,
        samples=ready.samples,
        output=output,
        name=plain.program.name,
        tried=tried,
        front=front(tried, wanted.aims),
        best=chosen(tried, wanted.aims, wanted.max_drop),
    )
    tested = _tested(done, pool)
    picture = _picture(done, tested)
    result = _result(done, tested, drawn=picture is not None)
    _save(done, result, picture)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A search that came to its end, and all that it was begun with."""

    bench: Bench
    wanted: Wanted
    samples: Apart
    output: Path
    name: str
    tried: Sequence[Tried]
    front: Sequence[Tried]
    best: Tried


def _check(model: Any, request: Request) -> None:
    if is_net(model):
        raise OptionError(
            "a .net file holds integers already: there is nothing to tune",
            where=str(model),
            fix="tune the network as it was trained",
        )
    for name in sorted(OWN & (request.chosen.keys() - {"steps"})):
        option = f"--{name.replace('_', '-')}"
        raise OptionError(
            f"tuning sets {option} itself", where=option, fix="leave it out, or see --knobs"
        )


def _open(output: Path) -> None:
    """Make the folder, or take one in which a search was begun.

    Raises:
        OutputExistsError: it holds something else.
        CannotWriteError: it cannot be made, or lies inside an artifact.
    """
    check_outside(output, "OTHER")
    try:
        _refuse_foreign(output)
        output.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise CannotWriteError(
            f"the folder could not be written: {problem.strerror}",
            where=str(output),
            fix="--output OTHER",
        ) from problem


def _refuse_foreign(output: Path) -> None:
    """Refuse a folder that holds something else than a search."""
    if not is_there(output) or (output / JOURNAL).exists():
        return
    if any(path.name != CALIBRATE for path in output.iterdir()):  # written before the journal
        raise OutputExistsError(
            "the folder holds something else than a search that could go on",
            where=str(output),
            fix="--output OTHER",
        )


def _write(path: Path, data: Data) -> None:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{a.name: a.values for a in data.arrays})
    write_file(content.getvalue(), path, force=True)


def _heading(bench: Bench, space: Space, wanted: Wanted, plain: Deployment) -> Mapping[str, Any]:
    """Return what must be the same for a search to go on."""
    options = {name: str(value) for name, value in bench.request.chosen.items()}
    return {
        "version": version(),
        "model": plain.model_digest,
        "program": plain.program.digest,
        "options": options,
        "data": _digest(bench.data),
        "calibration": _digest(bench.calibrate),
        "profile": bench.profile,
        "objective": [aim.value for aim in wanted.aims],
        "sampler": wanted.sampler.value,
        "seed": wanted.seed,
        "space": {**msgspec.to_builtins(space), "knobs": sorted(k.value for k in space.knobs)},
    }


def _digest(data: Data) -> str:
    content = hashlib.sha256()
    for array in data.arrays:
        content.update(np.ascontiguousarray(array.values).tobytes())
    if data.label is not None:
        content.update(data.label.tobytes())
    return content.hexdigest()


Tested = Mapping[str, Measured]
"""What settings do on the test data, by their flags."""


def _tested(done: _Done, pool: Pool | None) -> Tested:
    """Return what the first trial, the front, the chosen setting and its parts do on test data.

    Raises:
        DeployError: a program that was measured before cannot be made any more.
    """
    best = done.best.setting
    settings = [done.tried[0].setting, best, *(one.setting for one in done.front)]
    settings += [best.without(knob) for knob in best.turned]
    by_flags = {setting.flags: setting for setting in settings}
    names = list(by_flags)
    tested: dict[str, Measured] = {}
    bench = replace(done.bench, data=done.samples.test)
    with Workers(bench, pool) as workers, bar("test data", len(names), counted=True) as advance:
        for number, one in workers.measure(list(enumerate(by_flags.values()))):
            if isinstance(one, DeployError):
                raise one
            tested[names[number]] = one
            advance(1)
    return tested


def _result(done: _Done, tested: Tested, *, drawn: bool) -> Tuning:
    target = find_target(done.bench.request.target)
    refused = Counter(one.refused for one in done.tried if one.measured is None)
    return Tuning(
        name=done.name,
        target=target.name,
        profile=done.wanted.profile or target.energy_profile,
        aims=tuple(aim.value for aim in done.wanted.aims),
        max_drop=done.wanted.max_drop,
        chosen_on=done.samples.chosen_on,
        tested_on=done.samples.tested_on,
        trials=len(done.tried),
        refused=dict(sorted(refused.items())),
        default=_point(done.tried[0], tested),
        chosen=_point(done.best, tested),
        front=tuple(_point(one, tested) for one in done.front),
        savings=tuple(_saving(knob, done.best.setting, tested) for knob in Knob),
        folder=str(done.output),
        files=tuple(name for name in FILES if drawn or name != PICTURE),
    )


def _point(one: Tried, tested: Tested) -> Point:
    assert one.measured is not None
    flags = one.setting.flags
    return Point(
        trial=one.number,
        setting=one.setting,
        flags=flags,
        chosen_on=one.measured,
        test=tested[flags],
    )


def _saving(knob: Knob, best: Setting, tested: Tested) -> Saving:
    """Return what a knob saves: nothing where it is not turned."""
    turned = knob in best.turned
    own, other = tested[best.flags], tested[best.without(knob).flags]
    return Saving(
        knob=knob,
        turned=turned,
        energy=other.energy - own.energy,
        memory=other.memory - own.memory,
        latency=other.latency - own.latency,
        accuracy=other.accuracy - own.accuracy,
    )


def _save(done: _Done, result: Tuning, picture: bytes | None) -> None:
    """Write the chosen setting, the picture and the result."""
    output = done.output
    options = {
        **done.best.setting.applied(done.bench.request).chosen,
        "calibrate": output / CALIBRATE,
    }
    heading = (
        f"Written by snn-deploy tune: trial {done.best.number}.\n"
        f"On {result.tested_on}: {result.chosen.test.accuracy:.2f} % right, "
        f"{1e6 * result.chosen.test.energy:.3f} uJ a sample ({result.profile}).\n"
        f"Program {result.chosen.test.digest}\n"
        f"snn-deploy export MODEL --config {CONFIG}"
    )
    write_file(config_text(options, output, heading).encode(), output / CONFIG, force=True)
    write_file(json_bytes(result), output / RESULT, force=True)
    if picture is not None:
        write_file(picture, output / PICTURE, force=True)


def _picture(done: _Done, tested: Tested) -> bytes | None:
    shown = (*done.front, done.best, done.tried[0])
    rings = {one.number: tested[one.setting.flags] for one in shown}
    return front_svg(done.tried, done.front, done.best, done.wanted.aims, rings)
