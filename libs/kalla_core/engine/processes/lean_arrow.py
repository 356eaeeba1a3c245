"""NumPy, Arrow and DataFusion without what takes long to load and no run needs; to come first.

NumPy and Arrow's kernels would get documentation and signatures made for them, Arrow's file systems
the certificates of remote ones, which runs do not have (`forked.hide_unneeded`), and DataFusion
what it has of Spark as functions of Python, and its own version out of what is installed. NumPy's
linear algebra is not used, and of its types and masked arrays no more than is asked for at the
start.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from kalla_core.stand_in import replaced, stand_in


class _Typing(ModuleType):
    """`numpy.typing` as modules name it as they load; what else is asked of it is NumPy's own."""

    class NDArray:
        """A name of an array's type, whatever it is of."""

        def __class_getitem__(cls, _: object) -> Any:
            return Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        import numpy._typing

        return getattr(numpy._typing, name)


class _NoMaskedArray:
    """What no array is."""


class _Parameter:
    POSITIONAL_ONLY = VAR_POSITIONAL = KEYWORD_ONLY = None

    def __init__(self, *_: object, **__: object) -> None:
        pass


def _signature(*_: object) -> SimpleNamespace:
    return SimpleNamespace(parameters={})


def _none(*_: object) -> None:
    """Leave it to whoever asks to find out."""


def _as_it_is(*_: object, **__: object) -> Any:
    return lambda decorated: decorated


_first = "numpy" not in sys.modules
_algebra = dict.fromkeys(("eigvals", "inv", "lstsq", "matrix_power"))

with (
    stand_in("numpy._core._add_newdocs"),
    stand_in("numpy._core._add_newdocs_scalars"),
    stand_in("numpy.linalg", **_algebra),
    stand_in("pyarrow.vendored.docscrape", NumpyDocString=lambda _: {"Parameters": []}),
    stand_in("ssl", get_default_verify_paths=lambda: SimpleNamespace(cafile=None, capath=None)),
    stand_in("importlib.metadata", version=lambda _: ""),
    stand_in("platform"),
    stand_in("socket"),
    stand_in("typing_extensions", CapsuleType=object, deprecated=_as_it_is),
    stand_in("datafusion.functions.spark"),
):
    import numpy

    if _first:
        sys.modules["numpy.typing"] = _Typing("numpy.typing")
        _masked = SimpleNamespace(MaskedArray=_NoMaskedArray, nomask=None)
        vars(numpy).update(typing=sys.modules["numpy.typing"], ma=_masked)
    import datafusion
    import pyarrow._compute
    import pyarrow.fs

    with (
        replaced("inspect", Parameter=_Parameter, Signature=_none, signature=_signature),
        replaced("textwrap", dedent=str),
    ):
        import pyarrow.compute

__all__ = ["datafusion", "numpy", "pyarrow"]
