"""The error for an option that says nothing where it is given."""

from snn_deploy.errors import OptionError


def unheard(name: str, says: str, *, instead: str = "", then: str = "") -> OptionError:
    """Return the error.

    Args:
        name: Of the option's argument, such as `max_drop`.
        says: What follows the option in the sentence.
        instead: A way out that comes before leaving it out.
        then: What follows when it is left out.
    """
    option = f"--{name.replace('_', '-')}"
    return OptionError(f"{option} {says}", where=option, fix=f"{instead}leave {option} out{then}")
