"""What `verify --against network` and `--against model` do with the user's options."""

import math
from collections.abc import Sequence

from snn_deploy.deploy.against import compare, of_network
from snn_deploy.deploy.against_model import Origin, of_model
from snn_deploy.deploy.data import Data, check_classes
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.real_verification import Limits, RealVerification
from snn_deploy.errors import OptionError

NETWORK, MODEL = "network", "model"
"""What `--against` may name beside backends."""


def limits(mismatch: float | None, drop: float | None) -> Limits:
    """Return the limits.

    Raises:
        OptionError: one that no comparison can keep or exceed.
    """
    for option, value in (("--max-mismatch", mismatch), ("--max-drop", drop)):
        if value is not None and not 0 <= value < math.inf:
            raise OptionError(
                f"a limit of {value:g}; it is 0 or more", where=option, fix=f"{option} 0.05"
            )
    return Limits(mismatch=mismatch, drop=drop)


def wanted(names: Sequence[str], origin: Origin, accepted: Limits) -> bool:
    """Return whether the comparison is one with real values, and not with backends.

    Raises:
        OptionError: it is with both, or an option does not belong to what is compared.
    """
    chosen = [name for name in names if name in (NETWORK, MODEL)]
    if chosen and len(names) > 1:
        raise OptionError(
            f"{chosen[0]} is compared alone: its numbers are no integers",
            where="--against",
            fix=f"--against {chosen[0]}",
        )
    if not chosen and accepted != Limits():
        raise OptionError(
            "backends agree on every state or not at all; a limit is for real values",
            where="--max-mismatch, --max-drop",
            fix=f"--against {NETWORK}",
        )
    if origin.given and chosen != [MODEL]:
        raise OptionError(
            f"{origin.given} says nothing here: no model is run",
            where=origin.given,
            fix=f"--against {MODEL}",
        )
    if chosen == [MODEL] and origin.model is None:
        raise OptionError(
            "which model?", where="--against model", fix="--model FILE, or --against network"
        )
    return bool(chosen)


def verify(
    deployment: Deployment, data: Data, against: str, origin: Origin, accepted: Limits
) -> RealVerification:
    """Compare the integers with the network as trained, or the model; see `api.verify`.

    Raises:
        OptionError: the network was trained as integers; a limit of the loss of accuracy
            without labels; a model that cannot be run, or is another.
        ModelError: the model cannot be read, or what it does cannot be followed.
        DataError: a label is no class of the output.
    """
    if deployment.nir is None:
        raise OptionError(
            "this network was trained as integers: there are no real values to compare with",
            where=deployment.program.name,
            fix="--against reference",
        )
    if accepted.drop is not None and data.label is None:
        raise OptionError(
            "the data has no labels, so no accuracy",
            where="--max-drop",
            fix="np.savez(FILE, input=array, label=whole numbers), or leave --max-drop out",
        )
    judged = deployment.program.outputs[0]
    classes = deployment.program.population(judged.population).size
    check_classes(data, classes, judged.name, "give labels from 0 on, or none")
    reference = of_network(deployment.network)
    if against == MODEL:
        reference = of_model(deployment, origin)
    compared = compare(deployment, data, reference)
    known = {layer.layer for layer in compared.layers}
    folder = deployment.folder
    return RealVerification(
        artifact=str(folder) if folder else deployment.program.name,
        against=against,
        samples=data.samples,
        steps=compared.steps,
        layers=compared.layers,
        missing=tuple(p.name for p in deployment.network.populations if p.name not in known),
        same=compared.same,
        correct=compared.correct,
        correct_expected=compared.correct_expected,
        limits=accepted,
    )
