"""The distribution `kalla-client`: what talks to a coordinator, without the engine.

    python deploy/client_package.py FOLDER      makes a source tree there, for hatchling to build

It has those modules of `kalla_core` that its client imports, below a name of its own, so that it
may be installed beside the whole. They are found by their imports: one that would bring in another
package than httpx is refused. Recipes go to a coordinator as documents: what reads and checks them
stays with the engine.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "libs"
WHOLE, ALONE = "kalla_core", "kalla_client"
ENTRANCE = f"{WHOLE}.client"
NEEDED = frozenset({"httpx"})
STAYS = (f"{WHOLE}.recipe",)

_INIT = '''\
"""Talking to a coordinator of Kalla from Python: submit a job, watch it, fetch its evidence.

    from kalla_client import Client

    async with Client("http://localhost:8080", token="...") as kalla:
        run_id = await kalla.submit(recipe)      # the document of a recipe
        job = await kalla.wait(run_id)
        await kalla.fetch(run_id, Path("out"))

Every error is a `KallaError` of the class that it had on the coordinator, of `kalla_client.errors`.
"""

from kalla_client.client import Client
from kalla_client.errors import KallaError

__all__ = ["Client", "KallaError"]
'''
_README = """\
# kalla-client

A client of Kalla's coordinator, for Python and asyncio. It needs httpx, and no engine.

    from kalla_client import Client
"""


def main(folder: Path) -> None:
    """Write the tree."""
    modules = needed_modules()
    for name, path in modules.items():
        target = folder / ALONE / path.relative_to(LIBRARY / WHOLE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_INIT if name == WHOLE else renamed(path.read_text()))
    (folder / ALONE / "py.typed").touch()
    for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
        (folder / licence).write_bytes((ROOT / licence).read_bytes())
    (folder / "README.md").write_text(_README)
    (folder / "pyproject.toml").write_text(_project())


def needed_modules() -> dict[str, Path]:
    """Return the modules that the client imports, itself included, by name.

    Raises:
        SystemExit: one of them imports a package that the client is to do without.
    """
    found: dict[str, Path] = {}
    pending = [ENTRANCE]
    while pending:
        name = pending.pop()
        path = _path(name)
        if path is None or name in found or name.startswith(STAYS):
            continue
        found[name] = path
        pending.append(name.rpartition(".")[0])
        for imported in _imports(ast.parse(path.read_text())):
            package = imported.partition(".")[0]
            if package == WHOLE:
                pending.append(imported)
            elif package not in sys.stdlib_module_names | NEEDED:
                raise SystemExit(f"{path}: the client alone has no {package}")
    return found


def renamed(source: str) -> str:
    """Return a module as it is in the client's own package."""
    return re.sub(rf"\b{WHOLE}\b", ALONE, source)


def _path(name: str) -> Path | None:
    """Return the file of a module; None for what is a name in one."""
    base = LIBRARY.joinpath(*name.split("."))
    return next(
        (one for one in (base / "__init__.py", base.with_suffix(".py")) if one.is_file()), None
    )


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield what is imported when the code runs: not what only checkers of types see."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{one.name}" for one in names)
            case _:
                yield from _imports(child)


def _project() -> str:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (httpx,) = (one for one in whole["dependencies"] if re.match(r"httpx\b", one))
    return f"""\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "kalla-client"
version = "{whole["version"]}"
description = "A client of Kalla's coordinator, which reconciles data sets by SQL"
readme = "README.md"
requires-python = "{whole["requires-python"]}"
license = "{whole["license"]}"
license-files = ["LICENSE-MIT", "LICENSE-APACHE"]
dependencies = ["{httpx}"]

[tool.hatch.build.targets.wheel]
packages = ["{ALONE}"]
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
