"""Run by processes.py: every process has its share of a batch, and must see what one process would."""

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

import binorm

torch.set_num_threads(1)
RANK, WORLD = distributed.get_rank(), distributed.get_world_size()


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(3)
    style = torch.rand(shape[0], shape[1], *(1 for _ in shape[2:])) * 4
    return (torch.randn(shape) * (style + 0.1) + 3 * style).to(dtype)


def shares(samples: list[int]) -> slice:
    return slice(sum(samples[:RANK]), sum(samples[: RANK + 1]))


def make_norm(channels: int, **options: object) -> nn.Module:
    torch.manual_seed(1)
    norm = binorm.SyncBatchInstanceNorm(channels, dtype=torch.float64, **options)
    for parameter in norm.parameters():
        nn.init.uniform_(parameter)
    return norm


def alone(norm: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """The same norm as a layer that knows nothing of other processes."""
    classes = {2: binorm.BatchInstanceNorm1d, 3: binorm.BatchInstanceNorm1d, 4: binorm.BatchInstanceNorm2d}
    twin = classes.get(len(shape), binorm.BatchInstanceNorm3d)(
        norm.num_features, momentum=norm.momentum, affine=norm.affine, track_running_stats=norm.track_running_stats
    ).double()
    twin.load_state_dict(norm.state_dict())
    return twin


def check_equals_one_process(
    shape: tuple[int, ...], samples: list[int], channels_last: bool = False, **options: object
) -> None:
    norm = make_norm(shape[1], **options)
    whole = alone(norm, shape)
    x = batch(shape)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    torch.manual_seed(4)
    cotangent = torch.randn(shape, dtype=torch.float64)
    own = shares(samples)
    x_own, x_whole = x[own].clone().requires_grad_(), x.clone().requires_grad_()
    for _ in range(2):  # running statistics move twice
        y_own, y_whole = norm(x_own), whole(x_whole)
    (y_own * cotangent[own]).sum().backward()
    (y_whole * cotangent).sum().backward()
    torch.testing.assert_close(y_own, y_whole[own])
    torch.testing.assert_close(x_own.grad, x_whole.grad[own])
    for (name, ours), theirs in zip(norm.named_parameters(), whole.parameters(), strict=True):
        gradient = ours.grad if ours.grad is not None else torch.zeros_like(ours)
        distributed.all_reduce(gradient)
        torch.testing.assert_close(gradient, theirs.grad, msg=lambda m, name=name: f"{name}: {m}")
    for (name, ours), theirs in zip(norm.named_buffers(), whole.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda m, name=name: f"{name}: {m}")
    norm.eval(), whole.eval()
    torch.testing.assert_close(norm(x_own), whole(x_whole)[own])


def split(total: int, uneven: bool) -> list[int]:
    if not uneven:
        return [total // WORLD] * WORLD
    first = [1] * (WORLD - 1)
    return [*first, total - sum(first)]


def check_sizes() -> None:
    for shape in [(6, 5, 4, 3), (6, 5), (6, 5, 7), (6, 2, 3, 4, 2), (6, 3, 1, 1)]:
        for uneven in (False, True):
            check_equals_one_process(shape, split(6, uneven))
    check_equals_one_process((6, 5, 4, 3), split(6, True), channels_last=True)
    check_equals_one_process((6, 5, 4, 3), split(6, False), momentum=None)
    check_equals_one_process((6, 5, 4, 3), split(6, False), affine=False)
    check_equals_one_process((6, 5, 4, 3), split(6, False), track_running_stats=False)
    check_equals_one_process((WORLD, 5, 1, 1), [1] * WORLD)  # one value a channel in each process


def check_empty_batches() -> None:
    for empty in range(WORLD):
        samples = split(6, False)
        samples[(empty + 1) % WORLD] += samples[empty]
        samples[empty] = 0
        check_equals_one_process((6, 5, 4, 3), samples)


def check_different_spatial_sizes() -> None:
    """Statistics weigh values, not processes."""
    norm = make_norm(2)
    values = [batch((2, 2, 3 + rank, 4)) for rank in range(WORLD)]
    norm(values[RANK])
    every = torch.cat([v.transpose(0, 1).flatten(1) for v in values], 1)
    torch.testing.assert_close(norm.running_mean, 0.1 * every.mean(1))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * every.var(1))


def check_large_mean() -> None:
    """No digits are lost by merging: float32 with means 1e4 standard deviations away from 0."""
    x = (batch((6, 3, 8, 8)) + 1e4).float()
    norm = binorm.SyncBatchInstanceNorm(3, momentum=1.0)
    norm(x[shares(split(6, True))])
    torch.testing.assert_close(
        norm.running_var.double(), x.double().transpose(0, 1).flatten(1).var(1), rtol=1e-4, atol=0
    )


def check_converted_network_under_ddp() -> None:
    """Two steps of a network with every kind of norm, beside the same network in one process with the whole batch."""
    torch.manual_seed(5)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), binorm.BatchInstanceNorm2d(8), nn.Conv2d(8, 8, 3), binorm.BatchInstanceNormAct2d(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4), binorm.BatchInstanceNorm1d(4),
    ).double()  # fmt: skip
    torch.manual_seed(5)
    single = nn.Sequential(
        nn.Conv2d(3, 8, 3), binorm.BatchInstanceNorm2d(8), nn.Conv2d(8, 8, 3), binorm.BatchInstanceNormAct2d(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4), binorm.BatchInstanceNorm1d(4),
    ).double()  # fmt: skip
    parallel = DistributedDataParallel(binorm.convert_sync_batch_instance_norm(network))
    x = batch((6, 3, 9, 9))
    own = shares(split(6, False))
    optimizers = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (parallel, single)]
    for _ in range(2):
        for model, pictures, optimizer in ((parallel, x[own], optimizers[0]), (single, x, optimizers[1])):
            optimizer.zero_grad()
            model(pictures).pow(3).mean().backward()
            optimizer.step()
    for (name, ours), theirs in zip(network.state_dict().items(), single.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda m, name=name: f"{name}: {m}")


def check_process_groups() -> None:
    """A group of one process computes alone; the collectives of another group do not wait for it."""
    groups = [distributed.new_group([rank]) for rank in range(WORLD)]
    norm = make_norm(3)
    norm.process_group = groups[RANK]
    x = batch((4, 3, 5, 5)) + RANK
    torch.testing.assert_close(norm(x), alone(norm, x.shape)(x))


def check_one_value_in_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        make_norm(3)(batch((1, 3, 1, 1))[: 1 if RANK == 0 else 0])


def check_wrong_arguments_are_errors() -> None:
    for bad in (torch.zeros(4, 7, 3, 3), torch.zeros(4), torch.zeros(4, 3, 2, 2, dtype=torch.int64)):
        with pytest.raises((ValueError, TypeError)):
            make_norm(3)(bad)


CHECKS = {
    name: check for name, check in globals().items() if name.startswith("check_") and name != "check_equals_one_process"
}
