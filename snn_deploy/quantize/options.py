"""What a user may choose about the way to integers."""

from dataclasses import dataclass

from snn_deploy.errors import OptionError
from snn_deploy.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Choices of the pipeline; the defaults suit a trained network and 8-bit weights."""

    weight_bits: int | None = None
    """Bits of a stored weight, sign included; None: as many as the target has."""

    search: bool = True
    """Search the scale that loses least; without, the largest weight gets the largest number."""

    trials: int = 4
    """Scales of each population that are tried on the calibration data, the best by estimate."""

    prove: bool = False
    """Keep every state provably in range for any input, even where that costs weight bits."""

    def checked(self, target: Target) -> "Options":
        """Return these options.

        Raises:
            OptionError: a value that `target` does not have, or that makes no sense.
        """
        most = target.weights.bits.value
        if self.weight_bits is not None and not 2 <= self.weight_bits <= most:
            raise OptionError(
                f"weights of {self.weight_bits} bits; {target.name} stores 2..{most}",
                fix=f"--weight-bits {min(max(2, self.weight_bits), most)}",
            )
        if self.trials < 1:
            raise OptionError(f"{self.trials} trials; at least 1 scale is needed", fix="--trials 1")
        return self
