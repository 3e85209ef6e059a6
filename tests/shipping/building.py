"""The image, built without a daemon: buildah on a base of Debian's packages, in a storage of our own.

Used by `make image-test` only. `python -m shipping.building` prepares the machine and the base; the tests build on it.
Set BASE to an image that buildah can pull and no base is made here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""Commands and the Debian packages that have them."""

MIRROR = os.environ.get("DEBIAN_MIRROR", "")
"""Where debootstrap gets its packages; empty: from where it does by default."""

SUITE = "trixie"
PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
STAGES = {"go-tools": "GO_TOOLS", "slim": "SLIM", "toolbox": "TOOLBOX"}
"""Stages of the Dockerfile that are kept as images, and the build argument that puts such an image in their place."""

ON: Mapping[str, Sequence[str]] = {
    "go-tools": (),
    "slim": (),
    "toolbox": ("go-tools", "slim"),
    "operator": ("slim",),
    "loadtester": ("toolbox",),
}
"""The kept stages that each target begins with or copies from."""

STAGE_SECONDS = 1500.0
"""Limit for a stage. Alone on the machine the longest, the programs from Go modules, takes a few minutes."""

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PREPARED = """
ln -s ../../bin/python3 usr/local/bin/python
ln -s ../../bin/pip3 usr/local/bin/pip
rm -f usr/lib/python3*/EXTERNALLY-MANAGED
printf 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n' > etc/apt/apt.conf.d/docker-clean
rm -rf var/cache/apt/*.bin var/cache/apt/archives/*.deb var/lib/apt/lists/* usr/share/doc usr/share/man usr/share/locale
"""
"""Gives Debian's Python what the registry's image has: `python`, a `pip` that installs, an apt that keeps nothing."""


class NoImage(RuntimeError):
    """The image cannot be built on this machine; the text says what is missing and how to get it."""


def storage() -> Path:
    """The folder of images and containers, kept between runs."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "pyflagger" / "image"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def buildah(*words: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run buildah on our storage. Raises NoImage with what it said when it fails."""
    done = subprocess.run(_command(words), cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise NoImage(f"`{' '.join(words)}` failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def _command(words: Sequence[str]) -> list[str]:
    folder = storage()
    return ["buildah", "--storage-driver", "vfs", "--root", f"{folder}/storage", "--runroot", f"{folder}/run", *words]


def tools() -> None:
    """Have buildah and debootstrap on this machine. Raises NoImage."""
    missing = [package for command, package in TOOLS.items() if shutil.which(command, path=_path()) is None]
    if not missing:
        return
    wanted = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() or not shutil.which("apt-get"):
        raise NoImage(f"install {' and '.join(missing)} first: sudo {wanted}")
    for words in (["apt-get", "update"], [*wanted.split(), "-y"]):
        done = subprocess.run(
            words, capture_output=True, text=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        )
        if done.returncode:
            raise NoImage(f"`{' '.join(words)}` failed:\n{done.stderr[-2000:]}")


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def base() -> str:
    """The image to build on: BASE, or one made here once of Debian's packages. Raises NoImage."""
    given = os.environ.get("BASE")
    if given:
        return given
    name = f"localhost/pyflagger-base:{_seal()}"
    if not _there(name):
        if os.geteuid():
            raise NoImage(
                "making the base image needs root; or name one that can be pulled: make image-test BASE=python:…"
            )
        _make(name)
    return name


def stage(name: str) -> str:
    """The image of a stage that changes seldom, kept until the lines up to its end change. Raises NoImage."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    (start,) = (at for at, line in enumerate(lines) if line.startswith("FROM") and line.endswith(f" AS {name}"))
    end = next(at for at in range(start + 1, len(lines)) if lines[at].startswith("FROM"))
    image = f"localhost/pyflagger-{name}:{_digest(base(), *lines[:end])}"
    if not _there(image):
        print(f"image: building the stage {name}, once", flush=True)
        buildah(*_bud(name, image), timeout=STAGE_SECONDS)
    return image


def _there(image: str) -> bool:
    return subprocess.run(_command(["inspect", "--type", "image", image]), capture_output=True).returncode == 0


def _bud(target: str, image: str) -> list[str]:
    """The command that builds a target on the base and on the stages that are kept."""
    kept = [f"{STAGES[name]}={stage(name)}" for name in ON[target]]
    arguments = [word for text in (f"BASE={base()}", *kept) for word in ("--build-arg", text)]
    return ["bud", "--isolation", "chroot", "--pull-never", *arguments, "--target", target, "--tag", image, "."]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _seal() -> str:
    parts = (SUITE, PACKAGES, PREPARED, CERTIFICATES.read_text() if CERTIFICATES.exists() else "")
    return _digest(*parts)


def _make(name: str) -> None:
    with tempfile.TemporaryDirectory(dir=storage()) as folder:
        root = Path(folder) / "root"
        words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), *filter(None, [MIRROR])]
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": _path()})
        if done.returncode:
            raise NoImage(f"`{' '.join(words)}` failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        subprocess.run(["sh", "-ec", PREPARED], cwd=root, check=True)
        if CERTIFICATES.exists():  # registries that are reached through a proxy of the machine's
            shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        with container("scratch") as made:
            buildah("copy", made, str(root), "/")
            buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", made)
            buildah("commit", made, name)


@contextmanager
def container(image: str) -> Iterator[str]:
    """A container of an image, removed afterwards."""
    name = buildah("from", "--pull-never" if image.startswith("localhost/") else "--pull", image).stdout.strip()
    try:
        yield name
    finally:
        buildah("rm", name)


def running(box: str, *words: str, options: Sequence[str] = ()) -> list[str]:
    """The command line that runs words in a container as the image's user, on the network of this machine."""
    return _command(["run", "--isolation", "chroot", *options, box, "--", *words])


def run(box: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run words in a container."""
    return subprocess.run(running(box, *words), capture_output=True, text=True, timeout=60)


def size(image: str) -> int:
    """Bytes of an image with its base."""
    (found,) = json.loads(buildah("images", "--json", image).stdout)
    return _bytes(found["size"])


def _bytes(text: str) -> int:
    number, unit = text.split()
    return int(float(number) * {"KB": 1e3, "MB": 1e6, "GB": 1e9}[unit])


def build(target: str, name: str) -> str:
    """Build a target of the Dockerfile; the name of the image. Raises NoImage."""
    buildah(*_bud(target, name))
    buildah("rmi", "--prune")  # the image of that name from the last run
    return name


def main() -> int:
    """Prepare the machine and the base; 1 when that cannot be done."""
    try:
        tools()
        print(f"image: built on {base()}, kept in {storage()}", flush=True)
        for name in STAGES:
            stage(name)
    except NoImage as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
