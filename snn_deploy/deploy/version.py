"""Which version of snn-deploy this is."""

from importlib.metadata import version as installed


def version() -> str:
    """Return the installed version, such as `0.1.0`."""
    return installed("snn-deploy")
