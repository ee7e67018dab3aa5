"""The known faults of the authors' code (hyseob/Batch-Instance-Normalization), one test each: ours has none of them."""

import pytest
import torch
from naive import LAYERS, batch_of_styles, naive_batch_instance_norm, randomize_
from torch import nn

import binorm


@pytest.mark.parametrize("shape", [(8, 4), (8, 4, 9)], ids=str)
def test_1d_layer_works_on_linear_and_sequence_outputs(shape) -> None:
    torch.manual_seed(0)
    layer = randomize_(binorm.BatchInstanceNorm1d(4, dtype=torch.float64))
    x = batch_of_styles(shape)
    torch.testing.assert_close(layer(x), naive_batch_instance_norm(x, layer.gate, layer.weight, layer.bias))


def test_3d_layer_is_right_where_depth_equals_channels() -> None:
    torch.manual_seed(1)
    layer = randomize_(binorm.BatchInstanceNorm3d(4, dtype=torch.float64))
    x = batch_of_styles((3, 4, 4, 5, 6))
    torch.testing.assert_close(layer(x), naive_batch_instance_norm(x, layer.gate, layer.weight, layer.bias))


@pytest.mark.parametrize(("batch", "training"), [(8, True), (8, False), (1, False)])
@pytest.mark.parametrize("dims", [3, 4, 5])
def test_1x1_maps_work_in_training_and_evaluation(dims, batch, training) -> None:
    layer = LAYERS[dims](4, gate_init=0.5).train(training)
    output = layer(torch.randn(batch, 4, *(1 for _ in range(dims - 2))))
    assert output.isfinite().all()
    assert output.abs().max() > 0


@pytest.mark.parametrize("dims", [4, 5])
def test_channels_last_input_works_with_a_batch_above_1(dims) -> None:
    torch.manual_seed(2)
    memory_format = torch.channels_last if dims == 4 else torch.channels_last_3d
    x = torch.randn((3, 4, 2, 5, 6)[:dims])
    layer = LAYERS[dims](4, gate_init=0.5)
    torch.testing.assert_close(layer(x.to(memory_format=memory_format)), layer(x))


def test_momentum_none_works_and_averages() -> None:
    layer = binorm.BatchInstanceNorm2d(2, momentum=None)
    for mean in (0.0, 2.0, 7.0):
        layer(torch.tensor([mean - 1, mean + 1]).view(1, 1, 1, 2).expand(3, 2, 1, 2))
    torch.testing.assert_close(layer.running_mean, torch.tensor([3.0, 3.0]))


def test_batches_are_counted() -> None:
    layer = binorm.BatchInstanceNorm2d(2)
    for expected in (1, 2, 3):
        layer(torch.randn(2, 2, 3, 3))
        assert layer.num_batches_tracked == expected
    layer.eval()(torch.randn(2, 2, 3, 3))
    assert layer.num_batches_tracked == 3


def full_size_tensors_saved(layer: nn.Module, x: torch.Tensor) -> int:
    saved: dict[int, torch.Tensor] = {}  # kept alive, so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.numel() == x.numel():
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    return len(saved)


def test_a_compiled_layer_saves_one_tensor_of_the_inputs_size_for_backward_as_batch_norm() -> None:
    torch._dynamo.reset()
    x = torch.randn(4, 3, 16, 16, requires_grad=True)
    layer = torch.compile(binorm.BatchInstanceNorm2d(3), backend="aot_eager", fullgraph=True)
    assert full_size_tensors_saved(layer, x) == full_size_tensors_saved(nn.BatchNorm2d(3), x) == 1


def test_gates_are_clipped_without_a_word_in_the_training_script() -> None:
    layer = binorm.BatchInstanceNorm2d(3, gate_init=0.5)
    layer(torch.randn(4, 3, 5, 5)).pow(3).mean().backward()
    assert layer.gate.grad.abs().min() > 1e-4  # a step of 1e4 times it leads out
    torch.optim.SGD(layer.parameters(), lr=1e4).step()
    assert layer.gate.detach().sub(0.5).abs().max() == 0.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("parameters", ["float32", "cast"])
def test_training_in_half_precision_works(dtype, parameters) -> None:
    torch.manual_seed(3)
    layer = binorm.BatchInstanceNorm2d(3).to(dtype if parameters == "cast" else torch.float32)
    x = torch.randn(4, 3, 5, 5).to(dtype).requires_grad_()
    output = layer(x)
    output.float().pow(3).mean().backward()
    assert output.dtype == x.grad.dtype == dtype
    assert all(tensor.grad.isfinite().all() for tensor in (x, *layer.parameters()))


def test_convert_sync_batchnorm_leaves_the_layer_and_its_gate_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), binorm.BatchInstanceNorm2d(4, gate_init=0.5), nn.BatchNorm2d(4))
    layer = model[1]
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert converted[1] is layer
    assert torch.equal(layer.gate, torch.full((4,), 0.5))
    assert isinstance(converted[2], nn.SyncBatchNorm)  # it did look at this model
