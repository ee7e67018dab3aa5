"""Loaders that pass a layer's own loading by: a gate is what was loaded or its start, and never other memory."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import binorm


def rubbish_in_the_allocator() -> None:
    for _ in range(50):
        [torch.full((size,), 0.37) for size in (3, 4, 8, 16)]


def test_reset_parameters_sets_the_gate_also_where_it_is_computed() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / 2

        def right_inverse(self, gate: Tensor) -> Tensor:
            return gate * 2

    layer = binorm.BatchInstanceNorm2d(3, gate_init=0.25)
    layer.gate.data.fill_(0.9)
    layer.reset_parameters()
    assert torch.equal(layer.gate, torch.full((3,), 0.25))
    nn.utils.parametrize.register_parametrization(layer, "gate", Half())
    layer.parametrizations.gate.original.data.fill_(0.9)
    layer.reset_parameters()
    assert torch.equal(layer.gate, torch.full((3,), 0.25))


@pytest.mark.parametrize("way", ["to_empty", "skip_init", "materialised then reset"])
def test_a_gate_that_leaves_meta_starts_where_it_should(way) -> None:
    rubbish_in_the_allocator()
    if way == "skip_init":
        layer = nn.utils.skip_init(binorm.BatchInstanceNorm2d, 8, gate_init=0.25)
    else:
        model = nn.Sequential(binorm.BatchInstanceNorm2d(8, gate_init=0.25, device="meta"))
        layer = model.to_empty(device="cpu")[0]
        if way == "materialised then reset":
            layer.reset_parameters()
    assert torch.equal(layer.gate, torch.full((8,), 0.25))


def test_a_gate_left_on_meta_beside_a_batch_norms_tensors_is_1() -> None:
    layer = binorm.BatchInstanceNorm2d(4, gate_init=0.25, device="meta")
    for name, value in nn.BatchNorm2d(4).state_dict().items():  # as accelerate puts in what it finds
        table = layer._parameters if name in layer._parameters else layer._buffers
        table[name] = nn.Parameter(value) if name in layer._parameters else value
    layer.to("cpu")
    assert torch.equal(layer.gate, torch.ones(4))
    layer(torch.randn(2, 4, 3, 3))


def small_resnet(cls: type[nn.Module]) -> nn.Module:
    from transformers import ResNetConfig

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3,
    )  # fmt: skip
    model = cls(config).eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_from_pretrained_of_a_class_that_converts_itself(tmp_path: Path, dtype, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    transformers.logging.set_verbosity_error()
    base = transformers.ResNetForImageClassification

    class Converted(base):
        def __init__(self, config: object) -> None:
            super().__init__(config)
            binorm.convert_batch_norm(self)

    plain = small_resnet(base)
    plain.save_pretrained(tmp_path / "plain")
    rubbish_in_the_allocator()
    model = Converted.from_pretrained(tmp_path / "plain", dtype=dtype).eval()
    assert all((gate == 1).all() for gate in binorm.gate_parameters(model))
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        if dtype is torch.float32:
            torch.testing.assert_close(model(x).logits, plain(x).logits)
        for gate in binorm.gate_parameters(model):
            gate.fill_(0.25)
        expected = model(x.to(dtype)).logits
        model.save_pretrained(tmp_path / "trained")
        rubbish_in_the_allocator()
        again = Converted.from_pretrained(tmp_path / "trained", dtype=dtype).eval()
        assert torch.equal(again(x.to(dtype)).logits, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("own_initialization", [False, True])
def test_from_pretrained_of_a_class_with_a_layer_that_the_checkpoint_lacks(
    tmp_path: Path, own_initialization, monkeypatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    transformers.logging.set_verbosity_error()
    base = transformers.ResNetForImageClassification

    class WithNeck(base):
        def __init__(self, config: object) -> None:
            super().__init__(config)
            self.neck = binorm.BatchInstanceNorm2d(64, gate_init=0.25)
            self.post_init()

        def _init_weights(self, module: nn.Module) -> None:
            super()._init_weights(module)
            if own_initialization and module is self.neck:
                nn.init.constant_(module.gate, 0.75)

    small_resnet(base).save_pretrained(tmp_path)
    for _ in range(20):
        [torch.full((64,), 0.37) for _ in range(8)]
    neck = WithNeck.from_pretrained(tmp_path).neck
    fresh = binorm.BatchInstanceNorm2d(64, gate_init=0.75 if own_initialization else 0.25).state_dict()
    for name, tensor in neck.state_dict().items():
        assert torch.equal(tensor, fresh[name]), name


@pytest.mark.filterwarnings("ignore")
def test_accelerate_loads_a_batch_norms_checkpoint_and_offloads(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    torch.save(plain.state_dict(), tmp_path / "pytorch_model.bin")
    with accelerate.init_empty_weights():
        empty = binorm.convert_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    loaded = accelerate.load_checkpoint_and_dispatch(empty, str(tmp_path / "pytorch_model.bin"), device_map={"": "cpu"})
    assert torch.equal(loaded[1].gate, torch.ones(4))
    x = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(loaded.eval()(x), plain.eval()(x))

    model = nn.Sequential(nn.Conv2d(3, 4, 3), binorm.BatchInstanceNorm2d(4, gate_init=0.3)).eval()
    with torch.no_grad():
        expected = model(x)
        accelerate.cpu_offload(model, execution_device="cpu")
        assert model[1].gate.is_meta
        torch.testing.assert_close(model(x), expected)
        assert binorm.gate_summary(model)[0].mean == pytest.approx(0.3)
        assert model[1].gate.is_meta
