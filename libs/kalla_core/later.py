"""Dataclasses whose methods are made when they are first used, rather than all at the start.

To make `__init__`, `__repr__`, `__eq__`, `__hash__` and what keeps an instance frozen, Python
compiles each by itself. Of the three hundred dataclasses that a run loads it uses a sixth, and to
make the methods of all of them takes a third of the time that loading takes.

For processes that are Kalla's alone: all dataclasses that are made after that are so. Python 3.13
makes the methods of a class in one piece, and is left as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

_MAKER = "_create_fn"
_WHOLE = "_process_class"


class Later:
    """A method of a class, made when it is asked for; the class has the function itself then."""

    def __init__(self, name: str, make: Callable[[], FunctionType]) -> None:
        self.__name__ = self.__qualname__ = name
        self._make = make
        self._function: FunctionType | None = None

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self._made(type(instance) if owner is None else owner).__get__(instance, owner)

    def __call__(self, instance: object, *others: object) -> Any:
        """Call it as a function, as those do that wrap it."""
        return self._made(type(instance))(instance, *others)

    def _made(self, owner: type) -> FunctionType:
        made = self._function
        if made is None:
            made = self._function = self._make()
        for one in owner.__mro__:
            if vars(one).get(self.__name__) is self:
                made.__qualname__ = f"{one.__qualname__}.{self.__name__}"
                setattr(one, self.__name__, made)
        return made


def make_methods_later() -> None:
    """Let dataclasses of this process be so from now on, where Python makes methods one by one."""
    maker: Callable[..., FunctionType] | None = getattr(dataclasses, _MAKER, None)
    whole: Callable[..., type] | None = getattr(dataclasses, _WHOLE, None)
    if maker is None or whole is None or isinstance(maker, partial):
        return
    setattr(dataclasses, _MAKER, partial(_later, maker))
    setattr(dataclasses, _WHOLE, partial(_documented, whole))


def _later(make: Callable[..., FunctionType], name: str, *signature: Any, **names: Any) -> Later:
    return Later(name, partial(make, name, *signature, **names))


def _documented(make: Callable[..., type], kind: type, *asked: Any) -> type:
    """Make a dataclass; one without a docstring would get its signature for that, made for it."""
    kind.__doc__ = kind.__doc__ or f"{kind.__name__}(...)"
    return make(kind, *asked)
