"""Structlog without what it takes from rich for tracebacks, which nobody sees and is slow to load.

That is half of the time it takes to load, above all pygments; our tracebacks are plain.
"""

from __future__ import annotations

import sys

_UNUSED = {"rich.pretty", "rich.traceback"} - sys.modules.keys()

for _name in _UNUSED:
    sys.modules[_name] = None  # type: ignore[assignment] # as Python marks what is not there
try:
    import structlog
finally:
    for _name in _UNUSED:
        del sys.modules[_name]

__all__ = ["structlog"]
