"""One server for all tests of the page: two tiny styles, small limits, and a run with gates and reports."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from page_client import PageClient, running

from binorm.experiments.models import create
from binorm.experiments.recipes.classification import ClassificationRecipe
from binorm.experiments.runs.checkpoint import Trained, save_weights
from binorm.experiments.style.network import StyleNetwork
from binorm.experiments.style.style_file import StyleCard, save_style
from binorm.gates import gate_parameters

REPORT = "<!doctype html><title>r</title><h1>A report of digits</h1><script>document.title='ran'</script>"


@pytest.fixture(scope="session")
def styles(tmp_path_factory) -> Path:
    """A folder with the styles ``tiny`` and ``plain``; the latter has no gates."""
    folder = tmp_path_factory.mktemp("styles")
    torch.manual_seed(0)
    for name, norm in (("tiny", "bin"), ("plain", "bn")):
        network = StyleNetwork(4, 1, norm)
        for gate in gate_parameters(network):
            torch.nn.init.uniform_(gate)
        card = StyleCard(f"The {name} one", "A. Painter", "1900", "made up", norm, 4, 1, "a test")
        save_style(folder / f"{name}.safetensors", network, card)
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A folder of runs: ``digits`` with a network and a report, and a report that is a link to elsewhere."""
    folder = tmp_path_factory.mktemp("all") / "runs"
    run = folder / "digits" / "bin" / "seed0"
    run.mkdir(parents=True)
    torch.manual_seed(1)
    recipe = ClassificationRecipe(name="digits", title="Digits", dataset="digits", model="resnet8", epochs=1)
    network = create("resnet8", 10, "bin")
    for gate in gate_parameters(network):
        torch.nn.init.uniform_(gate)
    save_weights(run / "model.safetensors", network, Trained(recipe, "bin", 0, tuple("0123456789")))
    (run / "gates.json").write_text("{}")
    (folder / "digits" / "report.html").write_text(REPORT)
    (folder / "words").mkdir()
    (folder / "words" / "report.md").write_text("# Words & <b>more</b>\n")
    secret = folder.parent / "secret.html"
    secret.write_text("secret")
    (folder / "stolen").mkdir()
    (folder / "stolen" / "report.html").symlink_to(secret)
    (folder / "linked").symlink_to(folder.parent)
    return folder


@pytest.fixture(scope="session")
def address(styles, runs) -> Iterator[str]:
    """Of the running page. Stopping it must be clean and leave nothing."""
    with running(styles, "--runs", str(runs), "--max-megapixels", "1", "--max-megabytes", "1") as (url, process):
        with PageClient(url) as client:
            folder = Path(client.upload(b"x")).parents[1]
        assert folder.name.startswith("binorm-")
        yield url
    assert process.returncode == 0
    assert not folder.exists()


@pytest.fixture
def visitor(address) -> Iterator[PageClient]:
    """Someone who comes to the page."""
    with PageClient(address) as client:
        yield client
