"""fpin: put files on Filecoin so that all of IPFS can fetch them."""

from fpin._version import __version__

__all__ = ["__version__"]
