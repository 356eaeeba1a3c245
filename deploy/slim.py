"""Take out of an environment what no command of Kalla needs; its one argument is the environment.

Tests of libraries, their headers, and what botocore knows of services other than S3 and those that
give credentials for it. Standard library only, for it runs in the build stage.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

KEPT_SERVICES = {"s3", "sso", "sso-oidc", "sts"}
UNUSED = (
    "pyarrow/tests",
    "pyarrow/include",
    "pyarrow/src",
    "numpy/**/tests",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/random/lib",
    "numpy/f2py",
    "sqlglot/**/tests",
    "sqlalchemy/testing",
)
SOURCES = ("*.pyx", "*.pxd", "*.pxi", "*.c", "*.cpp", "*.h", "*.hpp", "*.pyi")


def main(environment: Path) -> None:
    """Remove it."""
    (packages,) = environment.glob("lib/python3.*/site-packages")
    for pattern in UNUSED:
        for folder in list(packages.glob(pattern)):
            shutil.rmtree(folder)
    for service in (packages / "botocore/data").iterdir():
        if service.is_dir() and service.name not in KEPT_SERVICES:
            shutil.rmtree(service)
    for pattern in SOURCES:
        for file in list(packages.rglob(pattern)):
            file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
