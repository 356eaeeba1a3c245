"""Modules that what is imported asks for and nothing here uses: they need not be loaded."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """Has some attributes; where another one is asked for the module is loaded, and has it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"The stand-in for {self.__name__} has no {name}.", name=name)
        return getattr(self._own(), name)

    def _own(self) -> ModuleType:
        if sys.modules.get(self.__name__) is not self:
            return importlib.import_module(self.__name__)
        del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


@contextmanager
def stand_in(name: str, **attributes: object) -> Iterator[None]:
    """Let a module that is not loaded yet be one with these attributes, while others load."""
    if name in sys.modules:
        yield
        return
    with replaced(name, **attributes):
        yield


@contextmanager
def replaced(name: str, **attributes: object) -> Iterator[None]:
    """Let a module be one with these attributes, while others load, whether it is loaded or not."""
    before = sys.modules.get(name)
    module = _StandIn(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    try:
        yield
    finally:
        if before is not None:
            sys.modules[name] = before
        elif sys.modules.get(name) is module:
            del sys.modules[name]
