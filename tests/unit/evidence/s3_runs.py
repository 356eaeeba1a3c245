"""Runs into a bucket that can be killed: started as a process of its own by test_s3_stopped.

Reads a line of JSON for each run and forks it: the arguments of `claim_output`, and whether it
commits or gives up. Prints the process id of the run as it starts and its exit status at the end.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from kalla_core.errors import KallaError
from kalla_core.evidence.output import claim_output
from kalla_core.s3.bucket import bucket
from tests.support.evidence import metadata, write_outputs


def run(output: str, run_id: str, overwrite: bool, workspace: str, commits: bool) -> int:
    try:
        with claim_output(output, run_id, overwrite, workspace=Path(workspace)) as claimed:
            if commits:
                files = write_outputs(claimed.staging, run_id, matched=2, left=1, right=0)
                claimed.commit(metadata(run_id, files, matched=2, left=1, right=0))
    except KallaError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def forked(arguments: dict[str, Any]) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sys.stdin.readline()  # until whoever wants to kill it knows its id
            status = run(**arguments)
        finally:
            os._exit(status)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    bucket("warm-up")  # so that no run has to load the client library
    while line := sys.stdin.readline():
        forked(json.loads(line))
