"""What a user may choose about the way to integers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from snn_deploy.errors import OptionError
from snn_deploy.ir.words import nearest
from snn_deploy.targets import Target


class Objective(Enum):
    """What the scale of the weights, and so what is clipped, is chosen by."""

    MAX = "max"
    """The largest weight becomes the largest stored number; the usual rule."""

    PERCENTILE = "percentile"
    """So does a percentile of the sizes of the weights; for comparison, as ml_genn_netx does."""

    SIGMA = "sigma"
    """So do some standard deviations of the weights; for comparison, as rockpool does."""

    MSE = "mse"
    """Least mean square error of the weights."""

    MEMBRANE = "membrane"
    """Least estimated error of the membrane: weights by mean and power of their sources, the
    threshold, the biases and the decays together."""

    ACTIVITY = "activity"
    """The same, with the errors of the weights e of a neuron as e H e: H is the second moment of
    what its sources send in the integer network, as the membrane adds it up. Without calibration
    data as MEMBRANE."""


class Rounding(Enum):
    """How a weight on its scale becomes a whole number."""

    NEAREST = "nearest"
    """The nearest, half to even."""

    GPTQ = "gptq"
    """One source after the other; what rounding it lost is made up by the sources still to come,
    as the second moment of what they send says (Frantar et al. 2022). Needs calibration data."""


class Preset(Enum):
    """Methods that go together; what an option states itself comes first."""

    AUTO = "auto"
    """PER_CHANNEL where each neuron of the target may have its own threshold, else PER_LAYER;
    without calibration data PLAIN."""

    PLAIN = "plain"
    """One scale per layer by MEMBRANE, nearest rounding."""

    PER_LAYER = "per-layer"
    """One scale per layer by MEMBRANE, GPTQ rounding, biases corrected at few bits."""

    PER_CHANNEL = "per-channel"
    """A scale per channel by ACTIVITY, GPTQ rounding, biases corrected at few bits."""


MANY_GROUPS = 1024
"""Sets of parameters of one population above which every neuron counts as free to have its own."""

FEW_BITS = 5
"""Bits of a layer up to which a preset corrects biases; with more it gains nothing, and may need
a clock neuron that the program does without."""

EVERY_BIT = 64
"""More bits than any weight has."""

MOST_DILATION = 2**16
"""Steps of the chip for one of the network, far beyond what any loop needs."""

ALL = "*"
"""Key of the bits of all layers that are not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Choices of the pipeline; the defaults suit a trained network and 8-bit weights."""

    weight_bits: int | Mapping[str, int] | None = None
    """Bits of a stored weight, sign included; None: as many as the target has. Or by name of a
    population or a projection, `*` for all others."""

    preset: Preset = Preset.AUTO
    objective: Objective | None = None
    """None: as the preset says; so for the next three."""

    rounding: Rounding | None = None
    bias_correction: bool | None = None
    """Add to the biases what the rounded weights and the rounded layers below miss of the mean
    current on the calibration data (Nagel et al. 2019, section 4.2)."""

    per_channel: bool | None = None
    """A scale for each channel, or neuron of a dense layer; as many as the target has sets of
    parameters."""

    percentile: float = 99.0
    """For Objective.PERCENTILE [%]."""

    sigmas: float = 2.0
    """For Objective.SIGMA [standard deviations]."""

    search: bool = True
    """Search the scale that loses least; without, as Objective.MAX."""

    trials: int = 4
    """Scales of each population that are tried on the calibration data, the best by estimate."""

    prove: bool = False
    """Keep every state provably in range for any input, even where that costs weight bits."""

    allow_overflow: bool = False
    """Take the scale that loses least even where some input could then overflow a register."""

    dilation: int | None = 1
    """Steps of the chip for each step of the network; None: the fewest that its loops need."""

    def bits_of(self, projection: str, population: str) -> int | None:
        """Return the bits of the weights of a projection into a population."""
        if not isinstance(self.weight_bits, Mapping):
            return self.weight_bits
        for key in (projection, population, ALL):
            if key in self.weight_bits:
                return self.weight_bits[key]
        return None

    def method(self, target: Target, *, calibrated: bool) -> "Method":
        """Return the methods that these options come to.

        Raises:
            OptionError: a method that needs calibration data, without any.
        """
        preset = self._preset(target, calibrated=calibrated)
        if not calibrated:
            for wanted, what, option in (
                (self.rounding is Rounding.GPTQ, "rounding with feedback", "--rounding nearest"),
                (self.bias_correction, "a correction of biases", "no --bias-correction"),
            ):
                if wanted:
                    raise OptionError(
                        f"{what} needs to know what the layers send",
                        fix=f"--calibrate DATA, or {option}",
                    )
        channels = preset is Preset.PER_CHANNEL
        feedback = calibrated and preset is not Preset.PLAIN
        plain = Objective.MEMBRANE if self.search else Objective.MAX
        return Method(
            objective=self.objective or (Objective.ACTIVITY if channels else plain),
            rounding=self.rounding or (Rounding.GPTQ if feedback else Rounding.NEAREST),
            corrected_bits=self._corrected_bits(feedback=feedback),
            per_channel=channels if self.per_channel is None else self.per_channel,
        )

    def _corrected_bits(self, *, feedback: bool) -> int:
        if self.bias_correction is None:
            return FEW_BITS if feedback else 0
        return EVERY_BIT if self.bias_correction else 0

    def _preset(self, target: Target, *, calibrated: bool) -> Preset:
        if self.preset is not Preset.AUTO:
            return self.preset
        if not calibrated or not self.search:
            return Preset.PLAIN
        many = target.parameter_groups.value > MANY_GROUPS
        return Preset.PER_CHANNEL if many else Preset.PER_LAYER

    def checked(self, target: Target) -> "Options":
        """Return these options.

        Raises:
            OptionError: a value that `target` does not have, or that makes no sense.
        """
        self._check_bits(target)
        if self.trials < 1:
            raise OptionError(f"{self.trials} trials; at least 1 scale is needed", fix="--trials 1")
        if not 0 < self.percentile <= 100:
            raise OptionError(
                f"a percentile of {self.percentile:g}", fix="Options(percentile=99.9)"
            )
        if not self.sigmas > 0:
            raise OptionError(f"{self.sigmas:g} standard deviations", fix="Options(sigmas=2)")
        if self.dilation is not None and not 1 <= self.dilation <= MOST_DILATION:
            raise OptionError(
                f"each step of the network takes {self.dilation} on the chip; 1 to "
                f"{MOST_DILATION} can be",
                fix="--time-dilation auto",
            )
        if self.prove and self.allow_overflow:
            raise OptionError(
                "a proof that nothing overflows and leave to overflow contradict each other",
                where="--prove, --allow-overflow",
                fix="give one of the two",
            )
        return self

    def _check_bits(self, target: Target) -> None:
        most = target.weights.bits.value
        given = self.weight_bits
        each = given if isinstance(given, Mapping) else {} if given is None else {ALL: given}
        for name, bits in each.items():
            if not 2 <= bits <= most:
                layer = "" if name == ALL else f"{name}="
                raise OptionError(
                    f"weights of {bits} bits; {target.name} stores 2..{most}",
                    where="" if name == ALL else name,
                    fix=f"--bits {layer}{min(max(2, bits), most)}",
                )

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse bits for a layer that is none.

        Raises:
            OptionError: with the nearest of `names`, the populations and projections that are.
        """
        known = sorted(set(names))
        given = self.weight_bits if isinstance(self.weight_bits, Mapping) else {}
        for name in given:
            if name != ALL and name not in known:
                near = nearest(name, known) or known[0]
                raise OptionError(
                    f"bits for {name!r}, but no layer has that name; there are {', '.join(known)}",
                    where="--bits",
                    fix=f"--bits {near}={given[name]}",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What `Options` come to for one target, with or without calibration data."""

    objective: Objective
    rounding: Rounding
    corrected_bits: int
    """Layers of at most so many bits have their biases corrected."""

    per_channel: bool
