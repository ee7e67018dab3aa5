"""Tools that record or transform a network: they take it as they take one with batch norm, or say what does instead."""

import warnings

import numpy as np
import pytest
import torch
from naive import batch_of_styles, randomize_
from torch import Tensor, fx, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.checkpoint import checkpoint

import binorm


class Block(nn.Module):
    """A norm and a norm with activation and residual, after a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), randomize_(binorm.BatchInstanceNorm2d(4))
        self.act = randomize_(binorm.BatchInstanceNormAct2d(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return self.act(x, residual=x)


def block() -> Block:
    torch.manual_seed(0)
    return Block()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return batch_of_styles((4, 3, 9, 9), torch.float32)


@pytest.mark.parametrize("training", [True, False])
def test_fx_keeps_each_norm_one_call_that_follows_the_mode(x, training) -> None:
    model = block().train(not training)
    traced = fx.symbolic_trace(model)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["conv", "norm", "act"]
    model, traced = block().train(training), traced.train(training)
    torch.testing.assert_close(traced(x), model(x))
    assert list(traced.state_dict()) == list(model.state_dict())
    assert traced.norm.num_batches_tracked == model.norm.num_batches_tracked == int(training)


def test_torchvisions_feature_extractor_takes_a_converted_network(x) -> None:
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    from torchvision.models.feature_extraction import create_feature_extractor

    model = binorm.convert_batch_norm(torchvision.models.resnet18()).eval()
    features = create_feature_extractor(model, {"layer1.0.bn1": "norm", "layer2": "stage"})(torch.randn(1, 3, 64, 64))
    assert features["norm"].shape == (1, 64, 16, 16)
    assert features["stage"].shape == (1, 128, 8, 8)


@pytest.mark.filterwarnings("ignore")  # torch.ao announces its end
def test_fx_quantization_leaves_the_norm_in_floating_point(x) -> None:
    from torch.ao.quantization import get_default_qat_qconfig_mapping, get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx, prepare_qat_fx

    model = block().eval()
    prepared = prepare_fx(model, get_default_qconfig_mapping("x86"), (x,))
    prepared(x)
    quantized, expected = convert_fx(prepared)(x), model(x)
    assert (quantized - expected).abs().max() < 0.1 * expected.abs().max()
    trained = prepare_qat_fx(block().train(), get_default_qat_qconfig_mapping("x86"), (x,))
    trained(x).pow(3).mean().backward()
    assert trained.norm.gate.grad.abs().min() > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore::torch.jit.TracerWarning")  # of checks of the input's shape
def test_scripting_is_refused_in_a_sentence_and_recording_works(x) -> None:
    model = block().eval()
    with pytest.raises(RuntimeError, match=r"torch\.jit\.script cannot compile.*torch\.jit\.trace"):
        torch.jit.script(model)
    torch.testing.assert_close(torch.jit.trace(model, x)(x), model(x))


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # vmap's, of updating statistics in place
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_ensemble_by_vmap_computes_what_its_members_do(x, training, layout) -> None:
    models = [Block().train(training) for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    x = x.contiguous(memory_format=layout)
    outputs = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    for output, member in zip(outputs, models, strict=True):
        torch.testing.assert_close(output, member(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transform", [torch.func.jacrev, torch.func.jacfwd, torch.func.hessian])
@pytest.mark.filterwarnings("ignore:.*torch.jit")  # PyTorch's forward mode warns of itself
def test_derivatives_in_the_input_leave_captured_gates_alone(transform) -> None:
    norm = randomize_(binorm.BatchInstanceNorm2d(2, dtype=torch.float64)).eval()
    norm.gate.data.copy_(torch.tensor([-0.5, 0.5]))
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    function = lambda z: norm(z).pow(3).sum() if transform is torch.func.hessian else norm(z)  # noqa: E731
    expected = (
        torch.autograd.functional.hessian(function, x)
        if transform is torch.func.hessian
        else torch.autograd.functional.jacobian(function, x)
    )
    torch.testing.assert_close(transform(function)(x), expected)
    assert norm.gate[0] == -0.5


def test_recomputing_inside_a_compiled_function_works_as_with_batch_norm(x) -> None:
    torch._dynamo.reset()
    eager, model = block(), block()
    compiled = torch.compile(lambda z: checkpoint(model, z, use_reentrant=False), backend="aot_eager", fullgraph=True)
    eager(x).pow(3).mean().backward()
    compiled(x).pow(3).mean().backward()
    for ours, expected in zip(model.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.norm.running_mean, eager.norm.running_mean)


@pytest.mark.filterwarnings("ignore")  # of the exporter that PyTorch is about to drop
@pytest.mark.parametrize("gates", [(1.0, 1.0), (0.3, 0.3), (0.3, 0.4)])
def test_the_exporter_that_most_deployments_call_writes_what_onnx_runtime_reads(gates, tmp_path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    torch.manual_seed(0)
    norms = [binorm.BatchInstanceNorm2d(4, gate_init=gate) for gate in gates]
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norms[0], nn.ReLU(), nn.Conv2d(4, 4, 1), norms[1]).eval()
    x, file = torch.randn(2, 3, 16, 16), tmp_path / "model.onnx"
    torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17, input_names=["x"])
    (output,) = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(output, model(x).detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["regnetx_002", "efficientnet_lite0"])
def test_timm_builds_networks_with_these_layers_by_class_and_by_name(name) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    binorm.register_with_timm()
    binorm.register_with_timm()  # twice is once
    for norm in (binorm.BatchInstanceNorm2d, "batchinstancenorm2d"):
        with warnings.catch_warnings(action="ignore"):
            model = timm.create_model(name, norm_layer=norm, num_classes=3).eval()
        assert all(isinstance(layer, binorm.BatchInstanceNorm2d) for layer in binorm.norm_layers(model))
        converted = binorm.convert_batch_norm(timm.create_model(name, num_classes=3)).eval()
        converted.load_state_dict(model.state_dict())
        x = torch.randn(1, 3, 64, 64)
        torch.testing.assert_close(model(x), converted(x))


def test_fake_tensors_pass_through_without_being_asked_for_values(x) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    real = block().eval()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        made = Block().eval()
        assert made(mode.from_tensor(x)).shape == (4, 4, 7, 7)
        assert real(x).shape == (4, 4, 7, 7)
        assert made.norm.eps == 1e-5
        with pytest.raises(ValueError, match="has no values here"):
            binorm.gate_summary(made)


def test_exporting_a_training_graph_warns_that_it_stays_one(x) -> None:
    with pytest.warns(UserWarning, match="cannot be moved to evaluation afterwards"):
        torch.export.export(block().train(), (x,))
    torch.export.export(block().eval(), (x,))
