"""`evaluate`: right answers on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import Hidden, deployment_of

if TYPE_CHECKING:
    from snn_deploy.deploy.evaluating_plan import EvaluationPlan
    from snn_deploy.deploy.evaluating_results import Evaluation


def evaluate(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    data: Annotated[Any, Parameter(name="--data")],
    labels: Path | None = None,
    output: str | None = None,
    backend: str = "event",
    real: Annotated[bool, Parameter(negative="--no-real")] = True,
    first: int = 0,
    samples: int | None = None,
    step_us: float | None = None,
    steps: int | None = None,
    polarity: str = "channels",
    downscale: int = 1,
    sensor: str | None = None,
    flatten: bool = False,
    binary: bool = False,
    from_first: bool = False,
    workers: int | None = None,
    dask: str | None = None,
    executor: Annotated[Any, Hidden] = None,
    journal: Path | None = None,
    block: int | None = None,
    time_limit: float | None = None,
    dry_run: bool = False,
) -> Evaluation | EvaluationPlan:
    """Count right answers on labelled data, in integers and in real values.

    $ snn-deploy evaluate mnist-loihi2 --data digits.npz
    $ snn-deploy evaluate cnn --data N-MNIST/Test --step-us 1000 --workers 4
    $ snn-deploy evaluate cnn --data test.h5 --journal cnn.journal

    Data are a file (NPZ, HDF5, NIRData, or a recording of events: .bin as in N-MNIST, .aedat4,
    .raw with EVT 2 or 3) or a folder with a folder of recordings for each class. They are read a
    block at a time. With a journal a run that was ended goes on where it was: give the same
    command again. The result is the same for every number of workers.

    Args:
        artifact: Artifact folder, or a deployment.
        data: File or folder. From Python also arrays by name, or a data set object, such as
            tonic's, with `__len__` and `__getitem__` that gives (events or frames, label).
        labels: File with the labels of data that have none: NPY, or NPZ with `label`.
        output: Name of the output that is judged; by default the first.
        backend: event, reference or lava.
        real: Run the real-valued network too.
        first: First sample.
        samples: Number of samples; by default all.
        step_us: Of events: microseconds of a step; by default the program's own step, if known.
        steps: Of events: steps of each sample. Shorter recordings end in silence, later events are
            left out and counted.
        polarity: Of events: channels (0 darker, 1 brighter), merged, off or on.
        downscale: Of events: so many rows and columns become one.
        sensor: Of events: ROWSxCOLUMNS, where recordings do not say it.
        flatten: Of events: the input has one axis, in the order polarity, row, column.
        binary: Of events: several in a step count as one.
        from_first: Of events: time begins with the first event of each recording.
        workers: Number of processes; by default this one.
        dask: Address of a Dask scheduler whose workers run the blocks.
        executor: Any `concurrent.futures.Executor`, or a function that makes one, and a new one
            if it breaks. From Python only.
        journal: File that keeps the answers of each finished block.
        block: Samples of a block; by default what memory has room for, at most 256.
        time_limit: Seconds after which Lava is stopped, for each block; by default 600.
        dry_run: Run nothing, and say what would be run and written.

    Returns:
        Accuracy of both with its 95 % interval, how often they agree, which classes are confused,
        activity and overflows of each layer. With `dry_run` the plan.

    Raises:
        UnknownNameError: no such output, backend or polarity (SNN101).
        OptionError: a value that makes no sense, or a journal of something else (SNN102).
        MissingLibraryError: what reads the data, or Dask, is not installed (SNN103).
        FileMissingError: no such data (SNN201).
        DataError: the data are not the network's, or have no labels (SNN208).
        BackendError: Lava failed (SNN501 to SNN503), a value lies outside what the program
            declares (SNN504), or workers were lost (SNN505).
        CannotWriteError: the journal could not be written (SNN602).
        ArtifactDamagedError: the folder is no artifact, or a file was changed (SNN603).
    """
    from snn_deploy.deploy import evaluating, pools  # noqa: PLC0415
    from snn_deploy.deploy.data import part_of  # noqa: PLC0415
    from snn_deploy.deploy.evaluating_block import Question  # noqa: PLC0415
    from snn_deploy.deploy.evaluating_command import binning, requested  # noqa: PLC0415
    from snn_deploy.deploy.evaluating_plan import planned  # noqa: PLC0415
    from snn_deploy.deploy.evaluating_work import output_named, work_of  # noqa: PLC0415

    pools.check_place(workers, dask, executor)
    deployment = deployment_of(artifact)
    how = binning(
        deployment,
        step=step_us,
        steps=steps,
        polarity=polarity,
        downscale=downscale,
        sensor=sensor,
        flatten=flatten,
        binary=binary,
        from_first=from_first,
    )
    source = requested(deployment, data, how, labels)
    elsewhere = dask is not None or executor is not None
    question = Question(
        output=output_named(deployment, output),
        backend=backend,
        real=real,
        first=first,
        samples=part_of(source.samples, first, samples),
        threads=pools.threads_of(workers, elsewhere=elsewhere),
        time_limit=time_limit,
    )
    work = work_of(deployment, source, question, block=block, options=repr(how))
    kept = None if journal is None else Path(journal)
    if dry_run:
        return planned(work, kept)
    with pools.pool_of(workers, dask, executor) as pool:
        return evaluating.evaluate(work, pool=pool, kept=kept)
