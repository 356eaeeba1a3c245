"""The process that makes one file of part files: `python -m kalla_core.engine.programs.merging`.

It reads one JSON line, `{"staging": FOLDER, "scratch": FOLDER, "outputs": {NAME: [PART, ...]}}`,
parts named relative to the staging folder, and puts row groups one after another as they are. In
the end a file lies in the place of each folder; `done` tells what the files are.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from kalla_core.engine.programs.child import further_lines, own_output, send
from kalla_core.engine.programs.holder import error_answer
from kalla_core.evidence.disk import disk_errors
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.writer import TableWriter


def main() -> None:
    """Merge what standard input names."""
    out = own_output()
    asked = sys.stdin.readline()
    if not asked:
        return
    further_lines()
    order = json.loads(asked)
    try:
        files = [
            merged(Path(order["staging"]), Path(order["scratch"]), name, parts)
            for name, parts in order["outputs"].items()
        ]
        send(out, {"event": "done", "files": [asdict(file) for file in files]})
    except BaseException as error:  # whatever it is, it is told
        send(out, error_answer(error))
    os._exit(0)


def merged(staging: Path, scratch: Path, name: str, parts: Sequence[str]) -> WrittenFile:
    """Put one file in the place of the folder `staging/name`, of these parts in their order.

    Raises:
        OutOfDisk, OutputNotWritable: it cannot be written.
    """
    with disk_errors(staging / name):
        schema = pq.read_schema(staging / parts[0])
        with TableWriter(scratch / name, schema) as writer:
            for part in parts:
                writer.append(staging / part)
            file = writer.close()
        shutil.rmtree(staging / name)
        os.replace(scratch / name, staging / name)
    return file


if __name__ == "__main__":
    main()
