"""`tune`: settings that save energy, memory or time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import Hidden, request_from

if TYPE_CHECKING:
    from snn_deploy.deploy.tuning.plan import TuningPlan
    from snn_deploy.deploy.tuning.results import Tuning


def tune(
    model: Annotated[Any, Parameter(name="MODEL")],
    /,
    *,
    data: Annotated[Any, Parameter(name="--data")],
    test: Any = None,
    split: float = 0.5,
    samples: int = 1000,
    calibrate: Any = None,
    output: Annotated[Any, Parameter()] = None,
    target: str = "loihi",
    knobs: str | None = None,
    per_layer: Annotated[bool, Parameter(negative="--global")] = True,
    objective: str = "energy",
    max_drop: float = 0.5,
    trials: int = 60,
    sampler: str = "tpe",
    search_seed: int = 0,
    profile: str | None = None,
    workers: int | None = None,
    dask: str | None = None,
    executor: Annotated[Any, Hidden] = None,
    dialect: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    compare: str | None = None,
    floor: float | None = None,
    encode: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    decode: str | None = None,
    input_range: str | None = None,
    input_unit: float | None = None,
    preset: str | None = None,
    arch: Any = None,
    module: str | None = None,
    sample_shape: Any = None,
    name: str | None = None,
    dry_run: bool = False,
) -> Tuning | TuningPlan:
    """Search bits, thresholds, steps and early exit for less energy, memory or latency.

    $ snn-deploy tune model.pt --data train.npz --test test.npz
    $ snn-deploy tune model.pt --data digits.npz --split 0.5 --objective memory

    Settings are chosen on one set of samples and reported on another. Every trial is kept: a
    search that was ended goes on where it was, give the same command again. The result is the
    same for every number of workers.

    Args:
        model: As for export, but no file of integers.
        data: Labelled data that settings are chosen on.
        test: Labelled data that nothing is chosen on; by default a share of data is put aside.
        split: That share, drawn at random.
        samples: Samples of data that each trial is measured on, at most.
        calibrate: Data that scales are chosen on, as for export; by default what settings are
            chosen on.
        output: Folder for the search and its result; by default the model's name and -tuned.
        target: As for export.
        knobs: What is turned, of bits, thresholds, steps and exit; by default all that the
            network has.
        per_layer: Bits and thresholds of each layer on its own; --global: of all together.
        objective: What is made small, of energy, memory and latency: the front is of accuracy
            against all of them, and the chosen setting is the least in the first.
        max_drop: Accuracy that the chosen setting may lose on the data it is chosen on [points].
        trials: Settings to try.
        sampler: tpe (Ozaki et al. 2022) or nsga2 (Deb et al. 2002), as optuna has them.
        search_seed: Of the search.
        profile: Table of prices; by default the target's.
        workers: Number of processes; by default this one.
        dask: Address of a Dask scheduler whose workers measure settings.
        executor: Any `concurrent.futures.Executor`, or a function that makes one, and a new one
            if it breaks. From Python only.
        dialect: As for export; so for all that follow.
        dt: Length of a step.
        reset: What a spike does to the membrane.
        compare: > or >=.
        floor: Lowest membrane potential.
        encode: How data becomes steps.
        steps: Steps of a sample to begin with, and at most.
        seed: Of the rate encoder.
        decode: What the answer is.
        input_range: Integer payloads that may enter.
        input_unit: Real value of an integer payload of 1.
        preset: Methods of rounding.
        arch: Architecture file.
        module: package.module:function that makes the module of a state dict.
        sample_shape: Shape of one step's input.
        name: Name of the network.
        dry_run: Search nothing, and say what would be searched and written.

    Returns:
        The front, the chosen setting and what each knob of it saves, all on the test data.
        With `dry_run` the plan.

    Raises:
        OptionError: a value that makes no sense, a knob that the network does not have, or the
            journal of another search (SNN102).
        MissingLibraryError: optuna, or Dask, is not installed (SNN103).
        ModelError: the model cannot be read (SNN201 to SNN207), or the data cannot be used or
            have no labels (SNN208).
        WorkersLostError: workers died again and again (SNN505).
        OutputExistsError: the folder holds something else than a search (SNN601).
        CannotWriteError: the disk is full, permission is missing, ... (SNN602).
        DeployError: the network as it is cannot be exported, as for export.
    """
    from snn_deploy.deploy.pools import check_place, pool_of  # noqa: PLC0415
    from snn_deploy.deploy.tuning import command  # noqa: PLC0415
    from snn_deploy.deploy.tuning.wanted import wanted_from  # noqa: PLC0415

    check_place(workers, dask, executor)
    request = request_from(
        target=target,
        dialect=dialect,
        dt=dt,
        reset=reset,
        compare=compare,
        floor=floor,
        encode=encode,
        steps=steps,
        seed=seed,
        decode=decode,
        input_range=input_range,
        input_unit=input_unit,
        preset=preset,
        arch=arch,
        module=module,
        sample_shape=sample_shape,
        name=name,
    )
    wanted = wanted_from(
        knobs=knobs,
        per_layer=per_layer,
        objective=objective,
        max_drop=max_drop,
        trials=trials,
        sampler=sampler,
        seed=search_seed,
        profile=profile,
        split=split,
        samples=samples,
    )
    if output is None:
        own = Path(model).stem if isinstance(model, str | Path) else "model"
        output = f"{own}-tuned"
    job = command.Job(
        model=model,
        request=request,
        wanted=wanted,
        data=data,
        test=test,
        calibrate=calibrate,
        output=Path(output),
    )
    if dry_run:
        return command.plan(job)
    with pool_of(workers, dask, executor) as pool:
        return command.tune(job, pool)
