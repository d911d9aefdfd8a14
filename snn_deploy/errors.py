"""What can go wrong: the tree of numbered errors.

    DeployError SNN000                the user can act on it: no traceback, exit 1
    |-- UsageError SNN100             the command line or a call is wrong: exit 2
    |   |-- UnknownNameError SNN101       a target, backend, dialect, layer or profile nobody knows
    |   |-- OptionError SNN102            an option has a wrong value, or two contradict each other
    |   |-- MissingLibraryError SNN103    an optional library is not installed
    |   `-- ConfigurationError SNN104     a configuration file is wrong
    |-- ModelError SNN200             the model file cannot be used
    |   |-- FileMissingError SNN201       no such file
    |   |-- FileDamagedError SNN202       not the format it claims, truncated, or hostile
    |   |-- UnknownNodeError SNN203       a layer or neuron type that we do not read
    |   |-- ShapeError SNN204             shapes do not fit together
    |   |-- NotFiniteError SNN205         a NaN or an infinity among the parameters
    |   |-- GraphError SNN206             the graph has no meaning: no input, a loop without delay
    |   |-- DynamicsError SNN207          a neuron parameter that no neuron can have
    |   `-- DataError SNN208              an input file (spikes, images, labels) cannot be used
    |-- QuantizeError SNN300          the network cannot become integers for this target
    |   |-- UnsupportedError SNN301       the target has no such feature
    |   |-- DoesNotFitError SNN302        a number lies outside what the target stores
    |   |-- OverflowPossibleError SNN303  an accumulator may overflow
    |   `-- LoopTooShortError SNN304      a loop has less delay than the chip needs
    |-- TargetError SNN400            a target description is wrong
    |   `-- ProfileError SNN401           an energy profile is wrong
    |-- BackendError SNN500           a backend could not do its work
    |   |-- LavaMissingError SNN501       no Lava environment
    |   |-- LavaTimeoutError SNN502       Lava did not end in time
    |   |-- LavaFailedError SNN503        Lava ended with an error
    |   |-- InputRangeError SNN504        an input value lies outside what the program declares
    |   `-- WorkersLostError SNN505       worker processes died again and again
    |-- ArtifactError SNN600          an artifact folder cannot be read or written
    |   |-- OutputExistsError SNN601      the output folder is already there
    |   |-- CannotWriteError SNN602       disk full, no permission, ...
    |   `-- ArtifactDamagedError SNN603   a file is missing, changed or not of this schema
    |-- CoresError SNN700             the network does not fit on the cores of the chip
    `-- MemoryShortError SNN800       this machine has not the memory for it

Anything that is not a `DeployError` is our bug: traceback, exit 70.
"""

from typing import ClassVar


class DeployError(Exception):
    """Something the user can act on.

    Args:
        message: What is wrong, with the value got and the values allowed.
        where: File, layer or index that it concerns; empty where there is none.
        fix: The way out: an option, a command, a changed value.
    """

    code: ClassVar[str] = "SNN000"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class UsageError(DeployError):
    """The command line, or a call, asks for something that does not exist."""

    code = "SNN100"
    exit_status = 2


class UnknownNameError(UsageError):
    """A target, backend, dialect, layer or profile that nobody knows."""

    code = "SNN101"


class OptionError(UsageError):
    """An option has a wrong value, or two options contradict each other."""

    code = "SNN102"


class MissingLibraryError(UsageError):
    """An optional library that is needed here is not installed; the fix names the extra."""

    code = "SNN103"


class ConfigurationError(UsageError):
    """A configuration file cannot be read, or states an option that does not exist."""

    code = "SNN104"


class ModelError(DeployError):
    """The model file cannot be used."""

    code = "SNN200"


class FileMissingError(ModelError):
    """There is no such file."""

    code = "SNN201"


class FileDamagedError(ModelError):
    """The file is not the format it claims to be, is truncated, or tries a trick."""

    code = "SNN202"


class UnknownNodeError(ModelError):
    """The file has a layer or neuron type that we do not read."""

    code = "SNN203"


class ShapeError(ModelError):
    """Shapes of layers, parameters or inputs do not fit together."""

    code = "SNN204"


class NotFiniteError(ModelError):
    """A parameter is NaN or infinite."""

    code = "SNN205"


class GraphError(ModelError):
    """The graph has no meaning: no input, an edge to nowhere, a loop without delay."""

    code = "SNN206"


class DynamicsError(ModelError):
    """A neuron parameter that no neuron can have, such as a negative time constant."""

    code = "SNN207"


class DataError(ModelError):
    """An input file (spikes, images, labels) cannot be used."""

    code = "SNN208"


class QuantizeError(DeployError):
    """The network cannot become integers for this target."""

    code = "SNN300"


class UnsupportedError(QuantizeError):
    """The target has no such feature, neither natively nor in simulation."""

    code = "SNN301"


class DoesNotFitError(QuantizeError):
    """A number lies outside what the target stores."""

    code = "SNN302"


class OverflowPossibleError(QuantizeError):
    """Some input within the declared bounds makes an accumulator overflow."""

    code = "SNN303"


class LoopTooShortError(QuantizeError):
    """A loop of projections has less delay than the chip needs for it."""

    code = "SNN304"


class TargetError(DeployError):
    """A target description (TOML) is wrong."""

    code = "SNN400"


class ProfileError(TargetError):
    """An energy profile (TOML) is wrong."""

    code = "SNN401"


class BackendError(DeployError):
    """A backend could not do its work."""

    code = "SNN500"


class LavaMissingError(BackendError):
    """There is no Python environment with lava-nc to run the Lava backend in."""

    code = "SNN501"


class LavaTimeoutError(BackendError):
    """Lava did not end within its time limit; it was stopped."""

    code = "SNN502"


class LavaFailedError(BackendError):
    """Lava ended with an error of its own."""

    code = "SNN503"


class InputRangeError(BackendError):
    """An input value lies outside the range that the program declares."""

    code = "SNN504"


class WorkersLostError(BackendError):
    """Worker processes died, or could not be reached, again and again, and no block got done."""

    code = "SNN505"


class ArtifactError(DeployError):
    """An artifact folder cannot be read or written."""

    code = "SNN600"


class OutputExistsError(ArtifactError):
    """The output folder is already there, and nothing is overwritten without --force."""

    code = "SNN601"


class CannotWriteError(ArtifactError):
    """The output could not be written: disk full, no permission, a path that is no folder."""

    code = "SNN602"


class ArtifactDamagedError(ArtifactError):
    """A file of the artifact is missing, was changed, or is of another schema."""

    code = "SNN603"


class CoresError(DeployError):
    """The network does not fit on the cores of the chip: it says what is short, and by how much."""

    code = "SNN700"


class MemoryShortError(DeployError):
    """This machine has not the memory that the command takes, or a limit withholds it."""

    code = "SNN800"
