"""Settings of a run on this machine."""

from __future__ import annotations

from kalla_core.settings.declare import Working, load


class Settings(Working):
    """What a run on this machine needs to know beside its recipe."""


def load_settings(**flags: object) -> Settings:
    """Read the settings of a run; see `load`."""
    return load(Settings, **flags)
