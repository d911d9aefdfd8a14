"""torch modules as objects, live or pickled: containers, layers within layers, hooks, factories.

Promises: a module is read by its attributes and nothing of it is run; hooks and patched methods,
which such a reading cannot see, are refused. `factory.py` alone runs code of the user's, and only
what the user named.

`containers.py` reads children that act one after another, `nested.py` the layer within a recurrent
or wrapping one, `intact.py` finds hooks and patches. What a class of layers means belongs in its
framework's file, not here.
"""

from snn_deploy.frontends.modules.containers import (
    INPUT,
    OUTPUT,
    first_foreign,
    is_module,
    is_readable,
    read_module,
)
from snn_deploy.frontends.modules.factory import module_from
from snn_deploy.frontends.modules.intact import check_intact
from snn_deploy.frontends.modules.nested import read_nested

__all__ = [
    "INPUT",
    "OUTPUT",
    "check_intact",
    "first_foreign",
    "is_module",
    "is_readable",
    "module_from",
    "read_module",
    "read_nested",
]
