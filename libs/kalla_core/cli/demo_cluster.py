"""The second act of `kalla demo`: the same recipe on a coordinator and two executors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from kalla_core.cli.jobs_table import executors_table
from kalla_core.cli.kallad import GROUP
from kalla_core.cli.remote import with_client
from kalla_core.cli.remote_run import reconcile_remotely
from kalla_core.cli.started import ServiceDidNotStart, started
from kalla_core.errors import KallaError
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import read_evidence
from kalla_core.ids import new_run_id
from kalla_core.recipe.model import EngineChoice, Recipe

EVIDENCE = "evidence-cluster"
_EXECUTORS = 2
_SERVICES = {"coordinator", "executor"}
_OF_THE_RUN = ("matched_at",)


def show_cluster(console: Console, recipe: Recipe, folder: Path, from_files: Path) -> None:
    """Run a recipe on a cluster of this machine, and compare the evidence with that of a local run.

    Where no cluster can be started, one sentence says so.
    """
    if not {entry.name for entry in entry_points(group=GROUP)} >= _SERVICES:
        console.print("That needs Kalla's services, which are not installed here.")
        return
    options = replace(recipe.options, engine=EngineChoice.CLUSTER, buckets=8, partitions=4)
    spread = replace(recipe, options=options)
    output = folder / EVIDENCE
    try:
        with _cluster() as address:
            console.print(f"A coordinator at {address}, and {_EXECUTORS} executors:\n")
            metadata = reconcile_remotely(address, spread, new_run_id(), output, overwrite=True)
            executors = with_client(address, lambda client: client.executors())
    except (ServiceDidNotStart, KallaError) as error:
        console.print(Text(f"{error} One machine has to do."))
        return
    console.print(executors_table(executors), crop=False)
    files = len(metadata.files)
    same = _rows(output) == _rows(from_files)
    verdict = "the same rows" if same else "OTHER ROWS"
    console.print(
        Text(
            f"\nThe executors wrote {metadata.matched_count:,} matches in {files} files; their "
            f"evidence and that of one process have {verdict}. The cluster is gone again."
        )
    )


@contextmanager
def _cluster() -> Iterator[str]:
    """Run a cluster on free ports; gives the address of its coordinator."""
    with (
        tempfile.TemporaryDirectory(prefix="kalla-demo-") as folder,
        started(
            [
                *("cluster", f"--executors={_EXECUTORS}", f"--staging-path={folder}"),
                *("--http-port=0", "--grpc-port=0", "--results-port=0", "--max-jobs=1"),
            ],
            "cluster_ready",
        ) as cluster,
    ):
        yield f"http://127.0.0.1:{cluster.ready['http_port']}"


def _rows(evidence: Path) -> list[pa.Table]:
    """Return the rows of all outputs, sorted, without what is of one run only."""
    with read_evidence(evidence, verify=False) as found:
        tables = [found.table(name) for name in (MATCHED, *UNMATCHED.values())]
    plain = [
        table.drop_columns([name for name in _OF_THE_RUN if name in table.column_names])
        for table in tables
    ]
    return [
        table.sort_by([(name, "ascending") for name in table.column_names]).combine_chunks()
        for table in plain
    ]
