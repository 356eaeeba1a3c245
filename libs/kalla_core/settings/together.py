"""Settings of a coordinator and executors that are started together."""

from __future__ import annotations

from pathlib import Path

from kalla_core.settings.coordinator import CoordinatorSettings
from kalla_core.settings.declare import authorities_setting, setting


class TogetherSettings(CoordinatorSettings):
    """`kallad cluster`: those of the coordinator, and how many executors."""

    executors: int = setting(
        "KALLA_EXECUTORS",
        flag="--executors",
        shown="2",
        meaning="Executors on this machine; they share the cores, and half of the memory limit.",
        default=2,
        ge=1,
        le=64,
    )
    tls_ca_file: Path | None = authorities_setting("the coordinator and the executors")
    restarts: int = setting(
        "KALLA_RESTARTS",
        flag="--restarts",
        shown="5",
        meaning="How often within ten minutes an executor that died is started again.",
        default=5,
        ge=0,
        le=1000,
    )
