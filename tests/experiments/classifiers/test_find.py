import pytest
import saved_classifiers
import torch
from torch import nn

from binorm.experiments.classifiers.classifier import gated
from binorm.experiments.classifiers.files import save_classifier
from binorm.experiments.classifiers.find import find_classifier
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import create


@pytest.fixture
def file(tmp_path):
    save_classifier(tmp_path / "model.safetensors", saved_classifiers.classifier())
    return tmp_path / "model.safetensors"


def test_a_file_of_ours_says_all_itself(file):
    assert find_classifier(str(file)).classes == ("cat", "dog", "owl")


def test_class_names_come_from_a_file_too(file, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("<b>tabby</b>\n\n  hound \nbarn owl\n", encoding="utf-8")
    assert find_classifier(str(file), classes=names).classes == ("<b>tabby</b>", "hound", "barn owl")


@pytest.mark.parametrize("text", ["one\ntwo", "one\ntwo\ntwo", ""])
def test_class_names_that_are_not_as_many_are_refused(file, tmp_path, text):
    names = tmp_path / "names.txt"
    names.write_text(text)
    with pytest.raises(UserError, match="the network has 3 outputs: expected one name for each"):
        find_classifier(str(file), classes=names)


def test_a_state_dict_needs_its_network_named(tmp_path):
    network = create("resnet8", 5, "bn").eval()
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    with pytest.raises(UserError, match="name that with --model"):
        find_classifier(str(path))
    found = find_classifier(str(path), "resnet8")
    assert found.classes == tuple(f"class {k}" for k in range(5))
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found(pictures), network(pictures))


def test_a_state_dict_of_another_network_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(nn.Linear(3, 2).state_dict(), path)
    with pytest.raises(UserError, match="choose the network that they are of"):
        find_classifier(str(path), "resnet8")


@pytest.mark.parametrize("model", ["efficientnet-lite", "no/such/file.safetensors"])
def test_what_is_not_there_names_what_there_could_be(model):
    with pytest.raises(UserError, match="Expected a run's folder, a file of weights"):
        find_classifier(model)


def test_gates_of_1_change_nothing():
    made = saved_classifiers.classifier("bn")
    pictures = torch.randn(2, 3, 16, 16)
    own = gated(made)
    assert own.card.norm == "bin"
    with torch.no_grad():
        assert torch.allclose(own(pictures), made(pictures), atol=1e-6)
    with pytest.raises(UserError, match="cannot have gates"):
        gated(saved_classifiers.classifier("in"))
