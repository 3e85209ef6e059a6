"""The packages of the charts: what `make charts` makes, as a repository that Helm installs from, and its metadata."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from pyflagger.api.crds import crds
from shipping.rendering import CHARTS, ROOT, templated, tool
from shipping.test_charts import ALL

pytestmark = pytest.mark.real

EVERYTHING_ON = {"flagger": {"prometheus": {"install": True}}}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make charts` fills."""
    folder = tmp_path_factory.mktemp("charts")
    for words in (
        ("package", *(f"charts/{chart}" for chart in ALL), "-d", str(folder)),
        ("repo", "index", str(folder)),
    ):
        done = tool("helm", *words)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def repository(packages: Path) -> Iterator[str]:
    """URL of a web server for the packages."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(packages)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_make_charts_makes_them() -> None:
    """Every chart of the folder, by the commands of the fixture above."""
    done = subprocess.run(["make", "-n", "charts"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if " package " in line]
    assert {word.strip("/") for word in line.split() if word.startswith("charts/")} == {
        f"charts/{name}" for name in ALL
    }
    assert {path.parent.name for path in CHARTS.glob("*/Chart.yaml")} == {*ALL}


@pytest.mark.parametrize("chart", ALL)
def test_a_repository_of_ours(repository: str, chart: str) -> None:
    """`helm install flagger flagger --repo URL`: a package renders to what its folder does."""
    done = tool("helm", "template", "flagger", chart, "--repo", repository, "-n", "flagger-system")
    assert done.returncode == 0, done.stderr
    assert [obj for obj in yaml.safe_load_all(done.stdout) if obj] == templated(chart)


@pytest.mark.parametrize("chart", ALL)
def test_what_artifact_hub_shows(chart: str) -> None:
    """The images are those that the chart runs, the CRDs those of the API."""
    said = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
    notes = said["annotations"]
    shown = {each["image"] for each in yaml.safe_load(notes["artifacthub.io/images"])}
    found = [obj for obj in templated(chart, EVERYTHING_ON.get(chart, {})) if obj["kind"] == "Deployment"]
    pods = [obj["spec"]["template"]["spec"] for obj in found]
    assert shown == {each["image"] for pod in pods for each in pod["containers"]}
    page = next(link["url"] for link in yaml.safe_load(notes["artifacthub.io/links"]))
    assert page.endswith(f"/blob/main/charts/{chart}/README.md")
    kinds = [each["name"] for each in yaml.safe_load(notes.get("artifacthub.io/crds", "[]"))]
    assert sorted(kinds) == (sorted(crd["metadata"]["name"] for crd in crds()) if chart == "flagger" else [])
