"""Generate the protobuf code as it is committed: `python -m tests.support.protobuf libs`.

Protobuf files import each other by their path below the folder they were compiled from, and so
does the generated Python; so the sources are compiled as if they lay in the package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = Path("kalla_core/wire/generated")


def generate(target: Path) -> None:
    """Write `kalla_core/wire/generated` below `target` anew."""
    package = target / PACKAGE
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch) / PACKAGE
        sources.mkdir(parents=True)
        names = []
        for source in sorted((ROOT / "proto/kalla/v1").glob("*.proto")):
            text = source.read_text(encoding="utf-8")
            path = sources / source.name
            path.write_text(text.replace('import "kalla/v1/', f'import "{PACKAGE}/'), "utf-8")
            names.append(f"{PACKAGE}/{source.name}")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"-I{scratch}",
                f"--python_out={target}",
                f"--grpc_python_out={target}",
                f"--mypy_out=quiet:{target}",
                *names,
            ],
            check=True,
            env=_with_plugins(),
        )
    (package / "__init__.py").write_text(
        '"""Made by `make proto` from `proto/`; not to be edited."""\n', "utf-8"
    )


def _with_plugins() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


if __name__ == "__main__":
    generate(ROOT / sys.argv[1])
