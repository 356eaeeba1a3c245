"""Renews what the pages take from npm: fetches, unpacks and notes versions, licences and hashes.

    python services/app/renew_assets.py

Needs npm; nothing else does. What is fetched is committed, so that nothing is built at install.
"""

from __future__ import annotations

import hashlib
import json
import re
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
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _unpacked(package: str, folder: Path) -> Path:
    subprocess.run(  # noqa: S603 - our own words
        ["npm", "pack", "--silent", package],  # noqa: S607 - wherever npm is
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "package"


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
