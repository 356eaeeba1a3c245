"""The image, built from Debian's packages and run as a cluster would run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployed import DEPLOY

TOOLS = ("buildah", "podman", "runc", "mmdebstrap")
TAG = "localhost/kalla:test"
LARGEST_COMPRESSED_BYTES = 200 * 10**6
PATIENCE_S = 3600
ULIMITS = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=8192:8192")
RESTRICTED = ("--network", "host", "--read-only", "--tmpfs", "/tmp", "--cap-drop=ALL")  # noqa: S108

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which podman finds the image; all of it goes afterwards."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and Debian's {', '.join(missing or TOOLS)}")
    folder = tmp_path_factory.mktemp("storage")
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/all"\n'
    )
    environment = {
        **os.environ,
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "KALLA_BASES": str(folder / "bases"),
    }
    run([str(DEPLOY / "build-image"), TAG], environment)
    yield environment
    subprocess.run(["podman", "system", "reset", "--force"], env=environment, check=False)


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def in_image(storage: dict[str, str], *command: str, options: tuple[str, ...] = ()) -> str:
    podman = ["podman", "--runtime", "runc", "run", "--rm", *ULIMITS, *RESTRICTED]
    return run([*podman, "--security-opt", "no-new-privileges", *options, TAG, *command], storage)


def test_it_reconciles_as_an_ordinary_user_on_a_root_that_nobody_can_write(
    storage: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)

    said = in_image(storage, "kalla", "demo", "/out/demo", options=("-v", f"{out}:/out"))

    assert "matched" in said
    written = list(out.glob("demo/**/metadata.json"))
    assert written
    assert {path.stat().st_uid for path in written} == {10001}
    assert {json.loads(path.read_text())["status"] for path in written} == {"completed"}


def test_it_tells_its_version_and_what_is_in_it(storage: dict[str, str]) -> None:
    (image,) = json.loads(run(["podman", "inspect", TAG], storage))

    labels, config = image["Config"]["Labels"], image["Config"]
    assert labels["org.opencontainers.image.version"] == in_image(
        storage, "kalla", "--version"
    ).strip().removeprefix("kalla ")
    assert config["User"] == "10001:10001"
    script = "import json; print(json.load(open('/opt/kalla/sbom.cdx.json'))['components'])"
    parts = in_image(storage, "python3", "-c", script)
    assert all(name in parts for name in ("'pyarrow'", "'datafusion'", "'kalla'"))


def test_it_has_no_shell_no_compiler_and_no_packages_to_install_more(
    storage: dict[str, str],
) -> None:
    script = (
        "import importlib.util, shutil; "
        "print([n for n in ('sh', 'bash', 'gcc', 'cc', 'apt', 'dpkg', 'pip') if shutil.which(n)], "
        "importlib.util.find_spec('pip'), importlib.util.find_spec('pytest'))"
    )

    assert in_image(storage, "python3", "-c", script).strip() == "[] None None"


def test_it_knows_the_authorities_that_sign_certificates(storage: dict[str, str]) -> None:
    script = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"

    assert int(in_image(storage, "python3", "-c", script)) > 100


def test_it_is_small_enough_to_be_fetched_quickly(storage: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"

    run(["podman", "save", "--quiet", "--format", "oci-archive", "-o", str(archive), TAG], storage)

    assert archive.stat().st_size < LARGEST_COMPRESSED_BYTES
