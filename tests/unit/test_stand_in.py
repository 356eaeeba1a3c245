"""Modules that others ask for and that need not be loaded."""

import importlib
import json
import sys

import pytest

from kalla_core.stand_in import replaced, stand_in


def test_what_is_imported_meanwhile_finds_the_stand_in_and_later_the_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    with stand_in("colorsys", rgb_to_hsv="nothing"):
        meanwhile = importlib.import_module("colorsys")

    assert vars(meanwhile)["rgb_to_hsv"] == "nothing"
    assert callable(importlib.import_module("colorsys").rgb_to_hsv)


def test_a_module_that_is_loaded_stays() -> None:
    with stand_in("json", loads=None):
        meanwhile = importlib.import_module("json")

    assert meanwhile is json
    assert meanwhile.loads is json.loads is not None


@pytest.mark.parametrize("asked_at_once", [True, False])
def test_what_the_stand_in_lacks_is_the_modules_own(
    monkeypatch: pytest.MonkeyPatch, *, asked_at_once: bool
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    with stand_in("colorsys", rgb_to_hsv="nothing"):
        meanwhile = importlib.import_module("colorsys")
        if asked_at_once:
            assert callable(meanwhile.hsv_to_rgb)

    assert meanwhile.rgb_to_hsv == "nothing"
    assert meanwhile.hsv_to_rgb is importlib.import_module("colorsys").hsv_to_rgb


def test_a_module_that_is_replaced_is_back_afterwards_even_if_loading_fails() -> None:
    with pytest.raises(ModuleNotFoundError), replaced("json", loads=None):
        importlib.import_module("json.nowhere")

    assert importlib.import_module("json") is json
