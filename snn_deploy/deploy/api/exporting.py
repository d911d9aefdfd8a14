"""`export`: a trained network becomes integers for a chip, in an artifact folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import Hidden, request_from
from snn_deploy.errors import OptionError

if TYPE_CHECKING:
    from snn_deploy.deploy.deployment import Deployment


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
        model: A model file: NIR, torch (.pt: a pickled module or a state dict), safetensors, ONNX,
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
        calibrate: Data file; scales are chosen on it. From Python also an array [sample, step,
            ...shape], without the steps where the network has an encoder, or arrays by name.
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
        DeployError: with the number that says what is wrong; nothing is written then. It is the
            call (SNN101 to SNN104), the model or the data (SNN201 to SNN208), what the chip
            cannot hold (SNN301 to SNN304), the target's file (SNN400), the output (SNN601,
            SNN602), the cores (SNN700) or the memory of this machine (SNN800).
    """
    from snn_deploy.deploy import exporting  # noqa: PLC0415 - numpy and h5py on demand

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
