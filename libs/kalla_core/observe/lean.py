"""Structlog without what is slow to load: what it takes from rich for tracebacks, and asyncio.

That is most of the time it takes to load, above all pygments. Our tracebacks are plain, and nobody
awaits a line of the log.
"""

from __future__ import annotations

import sys

from kalla_core.stand_in import stand_in

_UNUSED = {"rich", "rich.pretty", "rich.traceback"} - sys.modules.keys()

for _name in _UNUSED:
    sys.modules[_name] = None  # type: ignore[assignment] # as Python marks what is not there
try:
    with stand_in("asyncio"):
        import structlog
finally:
    for _name in _UNUSED:
        del sys.modules[_name]

__all__ = ["structlog"]
