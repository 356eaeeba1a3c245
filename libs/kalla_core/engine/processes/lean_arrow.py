"""Arrow without what takes long to load and no run needs; to be imported before all that has it.

Its kernels would get documentation made of that of their options, and its file systems the
certificates of remote ones, which runs do not have (`forked.hide_unneeded`).
"""

from __future__ import annotations

from types import SimpleNamespace

from kalla_core.stand_in import stand_in

with (
    stand_in("pyarrow.vendored.docscrape", NumpyDocString=lambda _: {"Parameters": []}),
    stand_in("ssl", get_default_verify_paths=lambda: SimpleNamespace(cafile=None, capath=None)),
):
    import pyarrow.compute
    import pyarrow.fs

__all__ = ["pyarrow"]
