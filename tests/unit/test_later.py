"""Dataclasses whose methods are made when they are asked for."""

import copy
import dataclasses
import inspect
import subprocess
import sys
import textwrap
from dataclasses import FrozenInstanceError, dataclass, field
from types import FunctionType
from typing import Any

import pytest

from kalla_core.later import Later, make_methods_later

MAKES_ONE_BY_ONE = hasattr(dataclasses, "_create_fn")


@pytest.fixture
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_create_fn", "_process_class"):
        monkeypatch.setattr(dataclasses, name, getattr(dataclasses, name, None), raising=False)
    make_methods_later()


def classes() -> tuple[Any, Any, Any]:
    @dataclass(frozen=True, slots=True, order=True)
    class Point:
        """Two numbers."""

        x: int
        y: int = 2

    @dataclass
    class Named:
        name: str
        points: list[Point] = field(default_factory=list)
        size: int = field(init=False, default=0)

        def __post_init__(self) -> None:
            self.size = len(self.points)

    @dataclass(frozen=True)
    class Placed(Point):
        z: int = 3

    return Point, Named, Placed


@pytest.mark.usefixtures("_later")
def test_instances_are_made_compared_ordered_hashed_and_shown_as_ever() -> None:
    point, named, placed = classes()

    assert (point(1).x, point(1).y, point(y=4, x=3).y) == (1, 2, 4)
    assert point(1) == point(1, 2) != point(2)
    assert sorted([point(2), point(1)]) == [point(1), point(2)]
    assert len({point(1), point(1, 2), point(5)}) == 2
    assert repr(point(1)).endswith("Point(x=1, y=2)")
    assert named("a", [point(1)]).size == 1
    assert placed(1, z=4) == placed(1, 2, 4) != point(1)
    assert hash(placed(1)) == hash((1, 2, 3))
    assert dataclasses.replace(placed(1), y=7) == placed(1, 7)
    assert copy.deepcopy(named("a", [point(1)])) == named("a", [point(1)])


@pytest.mark.usefixtures("_later")
def test_what_is_frozen_stays_so_and_what_is_wrong_is_refused() -> None:
    point, named, placed = classes()
    one = point(1)

    with pytest.raises(FrozenInstanceError):
        one.x = 2
    with pytest.raises(FrozenInstanceError):
        del placed(1).z
    with pytest.raises(TypeError, match=r"Point.__init__\(\) missing 1 required"):
        point()
    with pytest.raises(TypeError, match="unhashable"):
        hash(named("a"))


@pytest.mark.usefixtures("_later")
@pytest.mark.skipif(not MAKES_ONE_BY_ONE, reason="this Python makes all methods in one piece")
def test_a_method_is_made_once_and_is_the_class_s_own_then() -> None:
    point, named, _ = classes()
    before = {name: vars(point)[name] for name in ("__init__", "__eq__", "__hash__")}

    assert point(1) == point(1)
    assert repr(named("a")) == repr(named("a"))

    assert all(isinstance(one, Later) for one in before.values())
    assert isinstance(vars(point)["__init__"], FunctionType)
    assert isinstance(vars(point)["__eq__"], FunctionType)
    assert isinstance(vars(point)["__hash__"], Later)
    assert point.__init__.__qualname__ == f"{point.__qualname__}.__init__"
    assert list(inspect.signature(point).parameters) == ["x", "y"]


@pytest.mark.usefixtures("_later")
@pytest.mark.skipif(not MAKES_ONE_BY_ONE, reason="this Python makes all methods in one piece")
def test_a_class_without_a_docstring_has_one_that_nothing_is_made_for() -> None:
    point, named, _ = classes()

    assert point.__doc__ == "Two numbers."
    assert named.__doc__ == "Named(...)"
    assert isinstance(vars(named)["__init__"], Later)


def test_all_that_a_run_loads_goes_with_it_and_can_be_sent() -> None:
    program = """
        from kalla_core.later import make_methods_later
        make_methods_later()
        import dataclasses, pickle
        from kalla_core.engine.programs import child
        from kalla_core.fragments.several import Several
        from kalla_core.recipe.passes import SqlPass
        some = (Several(3), SqlPass("a", "SELECT 1"))
        assert pickle.loads(pickle.dumps(some)) == some
        assert [dataclasses.asdict(one) for one in some]
        print(len(repr(some)))
    """

    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert said.returncode == 0, said.stderr
    assert int(said.stdout) > 0
