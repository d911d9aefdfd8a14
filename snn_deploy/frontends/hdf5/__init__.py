"""HDF5 files as data: what NIR's files, lava-dl's files and data sets are kept in.

Promises: only bytes in memory are read, nothing that a file names is opened, and damage is a
numbered error before the HDF5 library meets it: it would crash or run for ever.

Touch `reader.py` for what of a file is read and its limits; `guard.py` for damage that the library
does not notice. Neither knows what the files mean.
"""

from snn_deploy.frontends.hdf5.guard import SIGNATURE, is_safe
from snn_deploy.frontends.hdf5.reader import LARGEST_CONTENT, Hdf5File, as_text, no_file

__all__ = ["LARGEST_CONTENT", "SIGNATURE", "Hdf5File", "as_text", "is_safe", "no_file"]
