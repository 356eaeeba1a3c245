"""Renews what the pages take from npm: fetches, unpacks and notes versions, licences and hashes.

    python services/app/renew_assets.py

Needs npm; nothing else does. What is fetched is committed, so that nothing is built at install.
The editor of match SQL is CodeMirror and `editor.js` beside this file, bundled into one.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

STATIC = Path(__file__).parent / "kalla_app" / "static"
VENDOR = STATIC / "vendor"
FILES = {
    "htmx.org@4.0.1": {"dist/htmx.min.js": "htmx.js", "LICENSE": "htmx.LICENSE"},
    "@fontsource-variable/inter@5.3.0": {
        "files/inter-latin-wght-normal.woff2": "inter.woff2",
        "LICENSE": "inter.LICENSE",
    },
    "lucide-static@1.62.0": {"LICENSE": "lucide.LICENSE"},
}
BUNDLER = "esbuild@0.28.2"
EDITOR = (
    "@codemirror/autocomplete@6.20.4",
    "@codemirror/commands@6.11.1",
    "@codemirror/lang-sql@6.10.0",
    "@codemirror/language@6.13.1",
    "@codemirror/lint@6.9.8",
    "@codemirror/state@6.7.6",
    "@codemirror/streamparser@6.0.0",
    "@codemirror/view@6.43.15",
    "@lezer/common@1.5.5",
    "@lezer/highlight@1.2.5",
    "@lezer/lr@1.4.12",
    "@marijn/find-cluster-break@1.0.4",
    "crelt@1.0.7",
    "style-mod@4.1.5",
    "w3c-keyname@2.2.8",
)
"""What the editor is made of: each package that ends up in the bundle, all of them named."""

ICONS = (
    "archive",
    "arrow-right",
    "ban",
    "book-open",
    "check",
    "circle-alert",
    "circle-check",
    "circle-x",
    "database",
    "download",
    "file-spreadsheet",
    "history",
    "house",
    "inbox",
    "loader-circle",
    "log-out",
    "pencil",
    "play",
    "plus",
    "rotate-ccw",
    "scale",
    "search",
    "trash-2",
    "upload",
    "x",
)


def main() -> None:
    """Fetch all packages, and write the files, the sprite of icons and the manifest."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    manifest: dict[str, dict[str, str]] = {}
    for package, files in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            root = _unpacked(package, Path(folder))
            noted = manifest.setdefault(package, {})
            for source, target in files.items():
                content = (root / source).read_bytes()
                (VENDOR / target).write_bytes(content)
                noted[target] = hashlib.sha256(content).hexdigest()
            if package.startswith("lucide"):
                sprite = _sprite(root / "icons").encode()
                (VENDOR / "icons.svg").write_bytes(sprite)
                noted["icons.svg"] = hashlib.sha256(sprite).hexdigest()
    manifest["editor"] = _bundle()
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def _unpacked(package: str, folder: Path) -> Path:
    _run(folder, "npm", "pack", "--silent", package)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "package"


def _bundle() -> dict[str, str]:
    """Write the editor and the licences of what is in it; return what was noted."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "package.json").write_text("{}")
        shutil.copy(Path(__file__).with_name("editor.js"), root / "editor.js")
        _run(root, "npm", "install", "--silent", "--no-audit", "--no-fund", BUNDLER, *EDITOR)
        _run(
            root,
            "node_modules/.bin/esbuild",
            "editor.js",
            "--bundle",
            "--minify",
            "--format=esm",
            "--target=es2022",
            "--legal-comments=none",
            "--outfile=bundle.js",
        )
        licences = []
        for package in EDITOR:
            name = package.rpartition("@")[0]
            text = (root / "node_modules" / name / "LICENSE").read_text(encoding="utf-8")
            licences.append(f"{package}\n\n{text.strip()}\n")
        noted = {"packages": " ".join(EDITOR)}
        for target, content in (
            ("editor.js", (root / "bundle.js").read_bytes()),
            ("editor.LICENSE", ("\n\n".join(licences)).encode()),
        ):
            (VENDOR / target).write_bytes(content)
            noted[target] = hashlib.sha256(content).hexdigest()
        return noted


def _sprite(icons: Path) -> str:
    symbols = []
    for name in ICONS:
        text = (icons / f"{name}.svg").read_text(encoding="utf-8")
        inner = re.sub(r"\s+", " ", text[text.index(">", text.index("<svg")) + 1 :])
        shapes = inner.replace("</svg>", "").strip()
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
            f'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
        )
    inside = "\n".join(symbols)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{inside}\n</svg>\n'


if __name__ == "__main__":
    main()
