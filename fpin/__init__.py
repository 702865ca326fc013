"""fpin: put files on Filecoin so that all of IPFS can fetch them.

    import fpin

    result = fpin.add("site", network="calibration", copies=2)
    print(result.root_cid)

`add`, `cost`, `cid`, `get`, `verify`, `status`, `check`, `repair` and `rm` do what the commands of the same
name do, and return what these print with ``--json``. `connect` keeps a network open for several calls. Every
failure on purpose is an `FpinError`, see `fpin.errors`; progress is told by the values of `fpin.events`.
"""

from typing import TYPE_CHECKING, Any

from fpin._version import __version__

if TYPE_CHECKING:
    from fpin import errors, events
    from fpin.api import add, check, cid, connect, cost, get, repair, rm, status, verify
    from fpin.errors import FpinError
    from fpin.store import Store

__all__ = [
    "FpinError",
    "Store",
    "__version__",
    "add",
    "check",
    "cid",
    "connect",
    "cost",
    "errors",
    "events",
    "get",
    "repair",
    "rm",
    "status",
    "verify",
]

_PLACES = {"FpinError": "fpin.errors", "Store": "fpin.store", "errors": "fpin", "events": "fpin"}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: `import fpin` alone takes no time."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'fpin' has no attribute {name!r}")
    if _PLACES.get(name) == "fpin":
        return import_module(f"fpin.{name}")
    found = globals()[name] = getattr(import_module(_PLACES.get(name, "fpin.api")), name)
    return found


def __dir__() -> list[str]:
    return __all__
