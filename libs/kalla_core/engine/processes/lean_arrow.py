"""NumPy, Arrow and DataFusion without what takes long to load and no run needs; to come first.

NumPy and Arrow's kernels would get documentation and signatures made for them, Arrow's file systems
the certificates of remote ones, which runs do not have (`forked.hide_unneeded`), and DataFusion
what it has of Spark as functions of Python, and its own version out of what is installed. NumPy's
linear algebra, types and masked arrays are loaded where one asks for more of them than is asked
for at the start: all of NumPy works.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
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


class _Masked(ModuleType):
    """`numpy.ma` while nobody has a masked array; what else is asked of it is NumPy's own."""

    MaskedArray = _NoMaskedArray
    nomask = None

    @staticmethod
    def is_masked(_: object) -> bool:
        return False

    isMaskedArray = is_masked  # noqa: N815

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module("numpy.ma"), name)


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


def _of_algebra(name: str) -> Callable[..., Any]:
    """Return what calls a function of NumPy's linear algebra, which is loaded by then."""

    def called(*arguments: Any, **named: Any) -> Any:
        return getattr(importlib.import_module("numpy.linalg"), name)(*arguments, **named)

    return called


_first = "numpy" not in sys.modules
_algebra = {name: _of_algebra(name) for name in ("eigvals", "inv", "lstsq", "matrix_power")}

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
        vars(numpy).update(typing=sys.modules["numpy.typing"], ma=_Masked("numpy.ma"))
    import datafusion
    import pyarrow._compute
    import pyarrow.fs

    with (
        replaced("inspect", Parameter=_Parameter, Signature=_none, signature=_signature),
        replaced("textwrap", dedent=str),
    ):
        import pyarrow.compute

__all__ = ["datafusion", "numpy", "pyarrow"]
