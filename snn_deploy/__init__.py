"""From a trained spiking neural network to a neuromorphic chip, bit for bit.

import snn_deploy

deployment = snn_deploy.export("model.nir", target="loihi", output="model-loihi")
print(snn_deploy.verify(deployment, input="digits.npz"))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_deploy.backends.event.simulator import Simulator
    from snn_deploy.deploy.api import (
        diff,
        doctor,
        estimate,
        evaluate,
        explain,
        export,
        inspect,
        lava_setup,
        load,
        netx,
        nir,
        report,
        show_targets,
        simulate,
        tune,
        verify,
    )

__all__ = [
    "Simulator",
    "diff",
    "doctor",
    "estimate",
    "evaluate",
    "explain",
    "export",
    "inspect",
    "lava_setup",
    "load",
    "netx",
    "nir",
    "report",
    "show_targets",
    "simulate",
    "tune",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import the API on first use, so that the package itself imports in no time."""
    if name == "Simulator":
        from snn_deploy.backends.event.simulator import Simulator  # noqa: PLC0415 - the same

        return Simulator
    if name in __all__:
        from snn_deploy.deploy import api  # noqa: PLC0415 - that is the point

        return getattr(api, name)
    raise AttributeError(f"module 'snn_deploy' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, so that a notebook completes them before their first use."""
    return [*globals(), *__all__]
