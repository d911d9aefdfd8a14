"""The public API: each function is also a command, its docstring the command's help.

Heavy libraries are imported inside the functions, so that `import snn_deploy` is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.errors import OptionError
from snn_deploy.ir.paths import is_folder

if TYPE_CHECKING:
    from snn_deploy.deploy.data import Data
    from snn_deploy.deploy.deployment import Deployment
    from snn_deploy.deploy.diff import ProgramDiff
    from snn_deploy.deploy.early_estimate import EarlyEstimate
    from snn_deploy.deploy.evaluating_results import Evaluation
    from snn_deploy.deploy.exporting import Request
    from snn_deploy.deploy.netx_command import NetxFile
    from snn_deploy.deploy.nir_command import NirFile
    from snn_deploy.deploy.outcomes import Verification
    from snn_deploy.deploy.real_verification import RealVerification
    from snn_deploy.deploy.report.model import Report
    from snn_deploy.deploy.results import (
        EnergyEstimate,
        Inspection,
        Listing,
        Simulation,
        Text,
    )
    from snn_deploy.deploy.tuning.results import Tuning

Hidden = Parameter(parse=False)


def export(
    model: Annotated[Any, Parameter(name="MODEL")],
    /,
    *,
    target: str = "loihi",
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
    calibrate: Any = None,
    bits: Any = None,
    preset: str | None = None,
    objective: str | None = None,
    rounding: str | None = None,
    bias_correction: bool | None = None,
    per_channel: Annotated[bool | None, Parameter(negative="--per-layer")] = None,
    max_drop: float | None = None,
    least: str | None = None,
    search: Annotated[str | bool, Parameter(negative="--no-search")] = True,
    prove: bool = False,
    allow_overflow: bool = False,
    time_dilation: str | None = None,
    cores: Any = None,
    optimize: str | None = None,
    chips: int | None = None,
    thresholds: Any = None,
    exit_lead: float | None = None,
    exit_after: int | None = None,
    config: Path | None = None,
    arch: Any = None,
    module: str | None = None,
    sample_shape: Any = None,
    sample: Annotated[Any, Hidden] = None,
    layers: int | None = None,
    reset_interval: int | None = None,
    reset_offset: int = 0,
    output: Annotated[Any, Parameter()] = None,
    force: bool = False,
    dry_run: bool = False,
    name: str | None = None,
) -> Deployment:
    """Turn a trained network into integers for a chip, and write the artifact folder.

    $ snn-deploy export model.pt --target loihi
    $ snn-deploy export weights.pt --arch network.toml --calibrate digits.npz
    $ snn-deploy export cnn_sinabs.nir --dialect sinabs --output cnn

    Args:
        model: A model file: NIR, torch (.pt: a pickled module or a state dict), safetensors,
            lava-dl's .net. From Python also a torch module, a `nir.NIRGraph`, or a `LayerGraph`.
        target: Chip to compile for, or a TOML file that describes one.
        dialect: Framework that wrote the NIR file, where the file does not say.
        dt: Length of a step, in the file's unit of time.
        reset: none, value, subtract, late-value or late-subtract, for every neuron.
        compare: > or >=, for every neuron.
        floor: Lowest membrane potential after a reset, for every neuron.
        encode: recorded, current, rate or latency: how data becomes steps.
        steps: Steps of a sample, for the encoders current, rate and latency.
        seed: Of the rate encoder.
        decode: count, membrane-end, membrane-mean, membrane-max or first-spike; and, where the
            network states a weight for each step, weighted-count, membrane-weighted or spike-time.
        input_range: Integer payloads that may enter, as LOW:HIGH; 0:1 for spikes.
        input_unit: Real value of an integer payload of 1.
        calibrate: Data file; scales are chosen on it. From Python also an array, or arrays by
            name.
        bits: Bits of a weight, sign included, such as 4, fc1=3,fc2=8 or 4,fc2=8; auto searches
            those of each layer on labelled calibration data; by default all that the chip stores.
        preset: auto, plain, per-layer or per-channel: methods that go together.
        objective: What scales are chosen by: membrane, activity, mse, max, percentile or sigma.
        rounding: nearest or gptq, which makes up for errors and needs calibration data.
        bias_correction: Put back into the biases what rounding takes from the mean current.
        per_channel: A scale for each channel, as far as the chip can; --per-layer: one.
        max_drop: Accuracy that bits auto may lose [points]; by default 0.5.
        least: memory or energy: what bits auto makes small.
        search: greedy or optuna, for bits auto. --no-search: the largest weight of a layer becomes
            the largest that the chip stores.
        prove: Keep every state provably in range, even where that costs weight bits.
        allow_overflow: Take the best scale even where some input could overflow a register.
        time_dilation: Steps of the chip for each step of the network, a number or auto: the fewest
            that its loops need. By default 1, and a loop that is too short is refused.
        cores: The most cores of the chip that it may take, a number or auto: as many as serve
            optimize. A network that does not fit into what is stated is refused; by default it is
            exported with a finding, for simulators.
        optimize: latency or energy: what auto chooses the number of cores for; by default the
            shortest step. `inspect ARTIFACT --front` lists the choices.
        chips: Chips that there are; by default as many as the largest board of the target has.
        thresholds: Factors on the thresholds of layers, such as 1.1 or lif1=1.2,lif2=0.9.
        exit_lead: Early exit: a sample is left as soon as the leading class is ahead by so much, in
            spikes or in the output's membrane; simulate, evaluate and estimate go by it, and so
            must who runs the chip: it reads the output after each step.
        exit_after: Steps before which no sample is left; by default 1.
        config: File (TOML) with options, as tune writes it; what is given beside it comes first.
        arch: Architecture file (TOML): the layers that the weights of a state dict belong to.
        module: package.module:function that makes the module of a state dict. It runs your code.
        sample_shape: Shape of one step's input, such as 1x28x28, where the model does not say it.
        sample: What enters a module, [step, *shape]: it is run on it, and compared with what was
            read. From Python only.
        layers: Of a .net file: read only so many layers, from the first on.
        reset_interval: Of a .net file: steps from one reset of its neurons to the next, as
            lava-dl's netx takes it.
        reset_offset: Of a .net file: the step of the first layer's first reset; each further
            layer's is a step later.
        output: Folder to write; by default the model's name and the target. A model in memory
            is written only if this is given.
        force: Replace an artifact that is already there.
        dry_run: Do everything but write.
        name: Name of the network; by default the file's.

    Returns:
        The deployment: program, findings, files.

    Raises:
        DeployError: with the number that says what is wrong; nothing is written then.
    """
    from snn_deploy.deploy import exporting  # noqa: PLC0415 - numpy and h5py on demand

    request = _request(
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
        bits=bits,
        preset=preset,
        objective=objective,
        rounding=rounding,
        bias_correction=bias_correction,
        per_channel=per_channel,
        max_drop=max_drop,
        least=least,
        search=search,
        prove=prove,
        allow_overflow=allow_overflow,
        time_dilation=time_dilation,
        cores=cores,
        optimize=optimize,
        chips=chips,
        thresholds=thresholds,
        exit_lead=exit_lead,
        exit_after=exit_after,
        sample_shape=sample_shape,
        arch=arch,
        module=module,
        layers=layers,
        reset_interval=reset_interval,
        reset_offset=reset_offset,
        name=name,
    )
    if output is not None and not str(output):
        raise OptionError("an output folder needs a name", where="--output", fix="--output FOLDER")
    if config is not None:
        from snn_deploy.deploy.tuning.config import with_config  # noqa: PLC0415 - only if asked

        request, calibrate = with_config(Path(config), request, calibrate)
    return exporting.export(
        model,
        request,
        calibrate=calibrate,
        sample=sample,
        output=None if output is None else Path(output),
        force=force,
        dry_run=dry_run,
    )


def inspect(
    path: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    dialect: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    compare: str | None = None,
    floor: float | None = None,
    arch: Path | None = None,
    module: str | None = None,
    sample_shape: str | None = None,
    simulate: Annotated[Any, Parameter()] = None,
    front: bool = False,
) -> Inspection:
    """Show what a model file or an artifact holds, and where each rule comes from.

    $ snn-deploy inspect cnn_sinabs.nir --dialect sinabs
    $ snn-deploy inspect weights.pt > network.toml
    $ snn-deploy inspect mnist-loihi2 --front

    Of weights alone it drafts the architecture file that they need.

    Args:
        path: A model file or an artifact folder.
        dialect: Framework that wrote the NIR file, where the file does not say.
        dt: Length of a step, in the file's unit of time.
        reset: As for export.
        compare: As for export.
        floor: As for export.
        arch: As for export.
        module: As for export.
        sample_shape: As for export.
        simulate: Data file: run the model on it, and with `--module` its framework too, and
            compare every spike. Of an artifact: the data whose activity `--front` goes by.
        front: Of an artifact: list the numbers of cores that it can be mapped to, from the fewest
            to the shortest step, with time and energy of each.

    Returns:
        The text, and the findings.
    """
    from snn_deploy.deploy import inspecting  # noqa: PLC0415

    path = Path(path)
    if is_folder(path):
        return inspecting.of_artifact(path, load(path), simulate, front=front)
    if front:
        raise OptionError(
            "the front of cores is that of an artifact",
            where="--front",
            fix="snn-deploy export, then snn-deploy inspect ARTIFACT --front",
        )
    request = _request(
        dialect=dialect,
        dt=dt,
        reset=reset,
        compare=compare,
        floor=floor,
        arch=arch,
        module=module,
        sample_shape=sample_shape,
    )
    return inspecting.of_model(path, request, simulate)


def nir(
    model: Annotated[Any, Parameter(name="MODEL")],
    /,
    *,
    output: Annotated[Any, Parameter()] = None,
    strict: bool = False,
    annotated: bool = False,
    dialect: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    compare: str | None = None,
    floor: float | None = None,
    arch: Annotated[Any, Parameter()] = None,
    module: str | None = None,
    force: bool = False,
    sample_shape: Any = None,
    name: str | None = None,
) -> NirFile:
    """Write a model as a NIR file, and say node by node what plain NIR can say of it.

    $ snn-deploy nir model.pt --output model.nir --strict
    $ snn-deploy nir cnn_sinabs.nir --dialect sinabs --output cnn.nir --annotated

    Plain NIR is read as explicit Euler steps: neurons fire above a threshold,
    send one spike a step and are reset to a value at once, and edges that close
    a loop carry the step before. Each node is exact, exact by decomposition into
    several plain nodes, metadata only, or unsupported.

    Args:
        model: As for export.
        output: File to write; by default none is written.
        strict: Write plain NIR without our metadata, which every tool can read alike, or refuse.
        annotated: Write the nearest nodes, and what they leave open into the metadata; the default.
        dialect: Framework that wrote the NIR file, where the file does not say.
        dt: Length of a step, as for export. Of a model that counts time in steps: the seconds
            that a step takes in a strict file, by default 1e-4.
        reset: As for export.
        compare: As for export.
        floor: As for export.
        arch: As for export.
        module: As for export.
        force: Replace a file that is already there.
        sample_shape: As for export.
        name: Name of the network; by default the file's.

    Returns:
        What plain NIR says of each node.

    Raises:
        DeployError: with the number that says what is wrong; nothing is written then.
    """
    from snn_deploy.deploy import nir_command  # noqa: PLC0415 - on demand

    if strict and annotated:
        raise OptionError(
            "a file is either strict or annotated",
            where="--strict, --annotated",
            fix="give one of the two",
        )
    if output is not None and not str(output):
        raise OptionError("an output file needs a name", where="--output", fix="--output FILE")
    request = _request(
        dialect=dialect,
        dt=dt,
        reset=reset,
        compare=compare,
        floor=floor,
        arch=arch,
        module=module,
        sample_shape=sample_shape,
        name=name,
    )
    return nir_command.write(
        model,
        request,
        manner=nir_command.Manner.STRICT if strict else nir_command.Manner.ANNOTATED,
        output=None if output is None else Path(output),
        force=force,
    )


def netx(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    output: Annotated[Any, Parameter()] = None,
    force: bool = False,
) -> NetxFile:
    """Write the integer program as a .net file, which lava-dl's netx loads.

    $ snn-deploy netx mnist-loihi2 --output mnist.net

    A .net file holds a chain of layers for Loihi 2: convolutions, then dense layers,
    each perhaps with a loop to itself. In Lava's fixed point netx gives every state of
    every step of the program. What a file cannot hold is refused, with the reason.

    Args:
        artifact: Artifact folder, or a deployment.
        output: File to write; by default none is written.
        force: Replace a file that is already there.

    Returns:
        The layers, how netx must load them, and the findings.

    Raises:
        DeployError: with the number that says what is wrong; nothing is written then.
    """
    from snn_deploy.deploy import netx_command  # noqa: PLC0415 - h5py on demand

    if output is not None and not str(output):
        raise OptionError("an output file needs a name", where="--output", fix="--output FILE")
    return netx_command.write(
        _deployment(artifact), output=None if output is None else Path(output), force=force
    )


def load(artifact: Path | str) -> Deployment:
    """Return the deployment in an artifact folder; every file is checked against its digest.

    Args:
        artifact: The folder.

    Returns:
        What `export` returned when it wrote the folder.

    Raises:
        ArtifactDamagedError: it is no artifact of this version, or a file was changed.
    """
    from snn_deploy.deploy.deployment import read_deployment  # noqa: PLC0415

    return read_deployment(Path(artifact))


def simulate(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")],
    backend: str = "event",
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
    time_limit: float | None = None,
) -> Simulation:
    """Run the integer program, and show activity and answers per layer and sample.

    $ snn-deploy simulate mnist-loihi2 --input digits.npz
    $ snn-deploy simulate cnn --input recording.bin --bin-width 0.001

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`, perhaps `label`). From Python also an array
            [sample, step, ...shape], or arrays by name.
        backend: event, reference or lava.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample to run.
        samples: Number of samples to run; by default all.
        time_limit: Seconds after which Lava is stopped; by default 600.

    Returns:
        Activity per layer and the predicted classes.
    """
    from snn_deploy.deploy import analysis  # noqa: PLC0415

    deployment = _deployment(artifact)
    data = _data(deployment, input, bin_width, first, samples)
    return analysis.simulate(deployment, data, backend, time_limit)


def verify(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")],
    against: str = "reference",
    model: Annotated[Any, Parameter()] = None,
    arch: Annotated[Any, Parameter()] = None,
    module: str | None = None,
    max_mismatch: float | None = None,
    max_drop: float | None = None,
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
    time_limit: float | None = None,
) -> Verification | RealVerification:
    """Compare the integers, state by state, with other backends or with what was trained.

    $ snn-deploy verify mnist-loihi2 --input digits.npz --against reference,lava
    $ snn-deploy verify mnist-loihi2 --input digits.npz --against network --max-drop 0.5
    $ snn-deploy verify net --input spikes.npz --against model --model net.pt --module nets:make

    Backends must agree with the event simulator on every state of every neuron and step. Against
    the network as trained (real values), or the model itself run by its framework, it counts the
    spikes that differ, and names in each layer the first one and its likely cause: that which,
    put back alone to what was trained, makes the difference go away. Integers are expected to
    differ from real values, so that by itself is no failure; limits make it one.

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`). From Python also an array, or arrays by name.
        against: Backends, separated by commas; or network; or model.
        model: For --against model: the model file. From Python also the torch module.
        arch: As for export, if the artifact was exported with it.
        module: As for export, if the artifact was exported with it.
        max_mismatch: Exit with 3 if the spikes of a layer differ by more, as a share: 0.05 is 5 %.
        max_drop: Exit with 3 if more points of accuracy are lost; the data has labels then.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample to compare.
        samples: Number of samples to compare; by default all.
        time_limit: Seconds after which Lava is stopped; by default 600.

    Returns:
        Per backend the number of states compared, or the first difference: the command exits
        with 3 if there is one. Against network or model: spikes, causes and membranes of every
        layer; it exits with 3 only if a limit is exceeded.
    """
    from snn_deploy.deploy import against_command as real  # noqa: PLC0415
    from snn_deploy.deploy import analysis  # noqa: PLC0415
    from snn_deploy.deploy.against_model import Origin  # noqa: PLC0415

    deployment = _deployment(artifact)
    names = [part.strip() for part in against.split(",") if part.strip()]
    limits = real.limits(max_mismatch, max_drop)
    origin = Origin(model=model, arch=arch, module=module)
    with_real_values = real.wanted(names, origin, limits)
    data = _data(deployment, input, bin_width, first, samples)
    if with_real_values:
        return real.verify(deployment, data, names[0], origin, limits)
    return analysis.verify(deployment, data, names, time_limit)


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
) -> Evaluation:
    """Count right answers on labelled data, in integers and in real values.

    $ snn-deploy evaluate mnist-loihi2 --data digits.npz
    $ snn-deploy evaluate cnn --data N-MNIST/Test --step-us 1000 --steps 300 --workers 4
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

    Returns:
        Accuracy of both with its 95 % interval, how often they agree, which classes are confused,
        activity and overflows of each layer.
    """
    from snn_deploy.deploy import evaluating  # noqa: PLC0415
    from snn_deploy.deploy.evaluating_block import Question  # noqa: PLC0415
    from snn_deploy.deploy.evaluating_command import binning, requested  # noqa: PLC0415

    deployment = _deployment(artifact)
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
    with evaluating.pool_of(workers, dask, executor) as pool:
        elsewhere = dask is not None or executor is not None
        question = Question(
            output=evaluating.output_named(deployment, output),
            backend=backend,
            real=real,
            first=first,
            samples=evaluating.within(source, first, samples),
            threads=evaluating.threads_of(workers, elsewhere=elsewhere),
            time_limit=time_limit,
        )
        return evaluating.evaluate(
            deployment,
            source,
            question,
            pool=pool,
            block=block,
            kept=None if journal is None else Path(journal),
            options=repr(how),
        )


def estimate(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")],
    profile: str | None = None,
    neurobench: bool = False,
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
) -> EnergyEstimate | EarlyEstimate:
    """Estimate energy and time: events counted in a simulation times published prices.

    $ snn-deploy estimate mnist-loihi2 --input digits.npz
    $ snn-deploy estimate mnist-loihi2 --input digits.npz --profile loihi1-davies
    $ snn-deploy estimate mnist-loihi2 --input digits.npz --profile my-chip.toml
    $ snn-deploy estimate mnist-loihi2 --input digits.npz --neurobench

    Time, hops and power at rest need a map of cores. Beside it stands the same network as an ANN
    and as an SNN by the papers' convention, which prices arithmetic alone.

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`). From Python also an array, or arrays by name.
        profile: Table of prices, by name or as a TOML file; by default the target's.
        neurobench: Give NeuroBench's metrics too, of the integers and of the network as trained,
            which is run for them; not where samples are left early.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample.
        samples: Number of samples; by default all.

    Returns:
        Energy per layer and kind of event, time of a step and a sample, memory, with the ends
        between which they are taken to lie, and what is not in it.
    """
    from snn_deploy.deploy import analysis  # noqa: PLC0415

    deployment = _deployment(artifact)
    chosen = _data(deployment, input, bin_width, first, samples)
    if deployment.early_exit is not None:
        from snn_deploy.deploy import early_estimate  # noqa: PLC0415 - few artifacts need it

        if neurobench:
            raise OptionError(
                "NeuroBench's metrics are of whole samples, and this artifact leaves them early",
                where="--neurobench",
                fix="leave --neurobench out, or export without --exit-lead",
            )
        return early_estimate.estimate(deployment, chosen, profile)
    return analysis.estimate(deployment, chosen, profile, neurobench=neurobench)


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
) -> Tuning:
    """Search bits, thresholds, steps and early exit for less energy, memory or latency.

    $ snn-deploy tune model.pt --data train.npz --test test.npz
    $ snn-deploy tune model.pt --data digits.npz --split 0.5 --objective energy,memory --workers 4

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
        sampler: tpe or nsga2.
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

    Returns:
        The front, the chosen setting and what each knob of it saves, all on the test data.
    """
    from snn_deploy.deploy import evaluating  # noqa: PLC0415
    from snn_deploy.deploy.tuning import command  # noqa: PLC0415
    from snn_deploy.deploy.tuning.wanted import wanted_from  # noqa: PLC0415

    request = _request(
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
    with evaluating.pool_of(workers, dask, executor) as pool:
        return command.tune(
            model,
            request,
            wanted,
            data=data,
            test=test,
            calibrate=calibrate,
            output=Path(output),
            pool=pool,
        )


def diff(
    one: Annotated[Any, Parameter(name="ONE")],
    other: Annotated[Any, Parameter(name="OTHER")],
    /,
    *,
    data: Annotated[Any, Parameter(name=("--data", "--input"))] = None,
    profile: str | None = None,
    first: int = 0,
    samples: int | None = None,
) -> ProgramDiff:
    """Show what differs between two integer programs, part by part.

    $ snn-deploy diff mnist-loihi1 mnist-loihi2
    $ snn-deploy diff mnist-loihi2 mnist-4bit --data digits.npz

    Populations and projections that only one has; parameters, scales, lags and weights that
    differ, how many, by how much and where; of artifacts also target, encoding, options,
    findings, and the map of cores. With data also accuracy, spikes, and energy by kind of event.

    Args:
        one: Artifact folder, or a folder with program.json and program.npz. From Python also a
            deployment or a program.
        other: Another.
        data: Data file that both are run on. Without labels there is no accuracy. From Python
            also an array, or arrays by name.
        profile: Table of prices for both; by default each target's own.
        first: First sample.
        samples: Number of samples; by default all.

    Returns:
        The differences. The command exits with 3 unless both compute the same from the same
        data.
    """
    from snn_deploy.deploy import diff as programs  # noqa: PLC0415

    def reads(deployment: Deployment) -> Data:
        return _data(deployment, data, None, first, samples)

    sides = programs.side(one), programs.side(other)
    return programs.diff(*sides, None if data is None else reads, profile)


def report(
    artifact: Annotated[Any, Parameter(name="ARTIFACT")],
    /,
    *,
    input: Annotated[Any, Parameter(name="--input")] = None,
    output: Annotated[Any, Parameter()] = None,
    force: bool = False,
    bin_width: float | None = None,
    first: int = 0,
    samples: int | None = None,
) -> Report:
    """Collect all that is known of a deployment; with data also what runs show. Draw it as a page.

    $ snn-deploy report mnist-loihi2
    $ snn-deploy report mnist-loihi2 --input digits.npz --samples 100 --output report.html

    Layers, rounding, ranges, findings, the map of cores; with data spikes, states, energy, the
    reference simulator, and the network as trained. What was not measured is absent: without data
    it is what the artifact holds, measured on some of the calibration data of the export.

    Args:
        artifact: Artifact folder, or a deployment.
        input: Data file (NPZ with `input`). From Python also an array, or arrays by name.
        output: HTML file to write; it needs matplotlib and jinja2 (the extra `report`).
        force: Replace a file that is already there.
        bin_width: Seconds per step; the data file is then a recording of events.
        first: First sample.
        samples: Number of samples; by default all.

    Returns:
        All that the page shows; --json prints it.

    Raises:
        MissingLibraryError: a page is wanted, and what draws it is not installed.
        OutputExistsError: the file is there, and `force` is not given.
    """
    from snn_deploy.deploy import report_command  # noqa: PLC0415 - on demand

    if output is not None and not str(output):
        raise OptionError("an output file needs a name", where="--output", fix="--output FILE")
    page = None if output is None else Path(output)
    if page is not None:
        report_command.check(page, force=force)
    deployment = _deployment(artifact)
    data = None if input is None else _data(deployment, input, bin_width, first, samples)
    return report_command.report(deployment, data, output=page, force=force)


def show_targets(name: str | None = None, /, *, sources: bool = False) -> Listing:
    """List the chips, or every number of one.

    $ snn-deploy targets
    $ snn-deploy targets loihi2 --sources

    Args:
        name: One target.
        sources: Show where each number was read.

    Returns:
        The table.
    """
    from snn_deploy.deploy import listings  # noqa: PLC0415

    return listings.targets() if name is None else listings.target(name, sources=sources)


def doctor() -> Listing:
    """Say what is installed and what each part can do here.

    $ snn-deploy doctor

    Returns:
        The table.
    """
    from snn_deploy.deploy import listings  # noqa: PLC0415

    return listings.doctor()


def explain(code: str, /) -> Text:
    """Explain an error by its number.

    $ snn-deploy explain SNN302

    Args:
        code: The number, with or without SNN.

    Returns:
        What it means.
    """
    from snn_deploy.deploy import explanations  # noqa: PLC0415
    from snn_deploy.deploy.results import Text  # noqa: PLC0415

    return Text(text=explanations.explain(code))


def lava_setup(*, path: Path | None = None) -> Text:
    """Make the Python 3.10 environment that the Lava backend runs in.

    $ snn-deploy lava setup

    Args:
        path: Folder of the environment; by default inside the current virtual environment.

    Returns:
        Where it is.
    """
    from snn_deploy.backends.lava.environment import setup  # noqa: PLC0415
    from snn_deploy.deploy.progress import say  # noqa: PLC0415
    from snn_deploy.deploy.results import Text  # noqa: PLC0415

    return Text(text=f"Lava environment: {setup(path, progress=say)}")


def _request(*, arch: Any, sample_shape: Any, **how: Any) -> Request:
    """Return how a model is to be read, and perhaps exported: the fields of a `Request`."""
    from snn_deploy.deploy import exporting  # noqa: PLC0415

    return exporting.Request(
        arch=None if arch is None else str(arch),
        sample_shape=exporting.shape_of(sample_shape),
        **how,
    )


def _deployment(artifact: Any) -> Deployment:
    from snn_deploy.deploy.deployment import Deployment  # noqa: PLC0415

    return artifact if isinstance(artifact, Deployment) else load(artifact)


def _data(
    deployment: Deployment, given: Any, bin_width: float | None, first: int, samples: int | None
) -> Data:
    from snn_deploy.deploy.data import Data, data_from, read_events  # noqa: PLC0415
    from snn_deploy.ir.codecs import Encode  # noqa: PLC0415
    from snn_deploy.ir.trace import Values  # noqa: PLC0415

    inputs = deployment.program.inputs
    if bin_width is None:
        data = data_from(given, tuple(entry.name for entry in inputs))
    else:
        if deployment.encoding.how is not Encode.RECORDED:
            raise OptionError(
                f"a recording is not encoded by {deployment.encoding.how.value}",
                where="--bin-width",
                fix="export again with --encode recorded",
            )
        shape = inputs[0].shape[-2:] if len(inputs[0].shape) == 3 else (34, 34)
        events = read_events(Path(given), bin_width, (shape[0], shape[1]))
        data = Data.of((Values(name=inputs[0].name, values=events[None]),))
    stop = data.samples if samples is None else first + samples
    if not 0 <= first < stop <= data.samples:
        raise OptionError(
            f"samples {first} to {stop - 1} of a data set with {data.samples}",
            fix=f"--first 0 --samples {data.samples}",
        )
    return data.part(first, stop)
