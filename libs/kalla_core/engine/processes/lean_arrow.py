"""Arrow and DataFusion without what takes long to load and no run needs; to be imported first.

NumPy and Arrow's kernels would get documentation made for them, Arrow's file systems the
certificates of remote ones, which runs do not have (`forked.hide_unneeded`), and DataFusion what
it has of Spark as functions of Python, and its own version out of what is installed.
"""

from __future__ import annotations

from types import SimpleNamespace

from kalla_core.stand_in import stand_in

with (
    stand_in("numpy._core._add_newdocs"),
    stand_in("numpy._core._add_newdocs_scalars"),
    stand_in("pyarrow.vendored.docscrape", NumpyDocString=lambda _: {"Parameters": []}),
    stand_in("ssl", get_default_verify_paths=lambda: SimpleNamespace(cafile=None, capath=None)),
    stand_in("importlib.metadata", version=lambda _: ""),
    stand_in("datafusion.functions.spark"),
):
    import datafusion
    import pyarrow.compute
    import pyarrow.fs

__all__ = ["datafusion", "pyarrow"]
