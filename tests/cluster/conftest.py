"""One cluster for all tests of a session: a coordinator and two executors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.real_cluster import Cluster, real_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with real_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running
