"""Run by processes.py: sharded and replicated training must move gates as one process does."""

import copy
import tempfile
from types import SimpleNamespace

import torch
from torch import Tensor, distributed, nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

import binorm

torch.set_num_threads(1)
RANK, WORLD = distributed.get_rank(), distributed.get_world_size()
MESH = init_device_mesh("cpu", (WORLD,))
STEPS, SAMPLES = 40, 12


def network() -> nn.Sequential:
    torch.manual_seed(0)
    norm = binorm.BatchInstanceNorm2d(5, gate_init=0.5)  # 5 gates: shards of different sizes, one of them empty
    model = nn.Sequential(nn.Conv2d(3, 5, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
    return binorm.convert_sync_batch_instance_norm(model)


def batch(step: int) -> tuple[Tensor, Tensor]:
    """First the brightness tells the class, then it misleads: gates run into their bounds, and back."""
    generator = torch.Generator().manual_seed(step)
    label = torch.randint(2, (SAMPLES,), generator=generator)
    bright = label if step < STEPS // 2 else torch.randint(2, (SAMPLES,), generator=generator)
    x = torch.randn(SAMPLES, 3, 8, 8, generator=generator) * (1 + label).view(-1, 1, 1, 1) + 2 * bright.view(
        -1, 1, 1, 1
    )
    return x, label


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(binorm.param_groups(model, lr=0.05), momentum=0.9)


def gates(model: nn.Module) -> Tensor:
    (gate,) = binorm.gate_parameters(model)
    gate = gate.detach()
    return (gate.full_tensor() if hasattr(gate, "full_tensor") else gate).clone()


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, steps: range = range(STEPS), whole: bool = False
) -> Tensor:
    seen = []
    own = slice(None) if whole else slice(RANK * SAMPLES // WORLD, (RANK + 1) * SAMPLES // WORLD)
    for step in steps:
        x, label = batch(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[own]), label[own]).backward()
        optimizer.step()
        seen.append(gates(model))
    return torch.stack(seen)


def alone() -> Tensor:
    """One process that knows nothing of others."""
    model = network()
    twin = nn.Sequential(*model)
    twin[1] = binorm.BatchInstanceNorm2d(5, gate_init=0.5)
    twin[1].load_state_dict(model[1].state_dict())
    return train(twin, optimizer_of(twin), whole=True)


EXPECTED = alone()


def sharded(**options: object) -> nn.Module:
    model = network()
    fully_shard(model[1], mesh=MESH, **options)
    return fully_shard(model, mesh=MESH, **options)


def check_gates_of_one_process_reach_both_bounds() -> None:
    assert EXPECTED.min() == 0
    assert EXPECTED.max() == 1
    at_bound = (EXPECTED == 0) | (EXPECTED == 1)
    assert (at_bound[:-1] & ~at_bound[1:]).any()  # and come back


def check_replicated() -> None:
    model = DistributedDataParallel(network())
    torch.testing.assert_close(train(model, optimizer_of(model)), EXPECTED, rtol=1e-3, atol=1e-4)


def check_fully_sharded() -> None:
    for options in ({}, {"reshard_after_forward": False}):
        model = sharded(**options)
        torch.testing.assert_close(train(model, optimizer_of(model)), EXPECTED, rtol=1e-3, atol=1e-4)
        summary = binorm.gate_summary(model)[0]
        assert summary.channels == 5
        assert abs(summary.mean - EXPECTED[-1].mean()) < 1e-3
        model.eval()(batch(0)[0])


def check_fully_sharded_with_half_precision_copies() -> None:
    """The gate that the forward pass sees is a temporary in bfloat16; the stored one is what is clipped."""
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    seen = train(model := sharded(mp_policy=policy), optimizer_of(model))
    assert seen.min() == 0
    assert seen.max() <= 1
    assert seen.dtype == torch.float32
    assert (seen - EXPECTED).abs().mean() < 0.1


def check_sharded_optimizer() -> None:
    model = DistributedDataParallel(network())
    optimizer = ZeroRedundancyOptimizer(
        model.parameters(), optimizer_class=torch.optim.SGD, lr=0.05, momentum=0.9, parameters_as_bucket_view=True
    )
    plain = DistributedDataParallel(network())
    expected = train(plain, torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9))
    torch.testing.assert_close(train(model, optimizer), expected, rtol=1e-3, atol=1e-4)
    assert expected.max() > 0


def check_first_generation_sharding() -> None:
    model = FullyShardedDataParallel(network(), use_orig_params=True, device_id=torch.device("cpu"))
    optimizer = optimizer_of(model)
    for step in range(STEPS):
        x, label = batch(step)
        own = slice(RANK * SAMPLES // WORLD, (RANK + 1) * SAMPLES // WORLD)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[own]), label[own]).backward()
        optimizer.step()
    with FullyShardedDataParallel.summon_full_params(model):
        torch.testing.assert_close(gates(model), EXPECTED[-1], rtol=1e-3, atol=1e-4)
        assert binorm.gate_summary(model)[0].channels == 5
    flat = FullyShardedDataParallel(network(), use_orig_params=False, device_id=torch.device("cpu"))
    try:
        binorm.param_groups(flat, lr=0.1)
    except ValueError as error:
        assert "use_orig_params=True" in str(error)  # noqa: PT017 - run without pytest
    else:
        raise AssertionError("a flat parameter was split")


def with_sharded_norm() -> nn.Module:
    model = network()
    model[1] = FullyShardedDataParallel(model[1], device_id=torch.device("cpu"))
    return model


def check_logged_gates_are_whole_and_of_the_first_process() -> None:
    cpu = torch.device("cpu")
    for model in (
        DistributedDataParallel(network()),
        sharded(),
        *(FullyShardedDataParallel(network(), use_orig_params=each, device_id=cpu) for each in (True, False)),
        with_sharded_norm(),
    ):
        seen: dict[str, object] = {}
        writer = SimpleNamespace(
            add_scalar=lambda tag, value, step, seen=seen: seen.update({tag: value}),
            add_histogram=lambda tag, values, step, bins, seen=seen: seen.update({tag: values.tolist()}),
        )
        binorm.log_gates(writer, model, 3)
        if RANK == 0:
            assert seen["gates/mean"] == seen["gates_mean/1"] == 0.5
            assert seen["gates_values/1"] == [0.5] * 5
        else:
            assert not seen


def check_resuming_from_a_distributed_checkpoint() -> None:
    folder = [tempfile.mkdtemp() if RANK == 0 else ""]
    distributed.broadcast_object_list(folder)
    model = sharded()
    optimizer = optimizer_of(model)
    train(model, optimizer, range(STEPS // 2))
    state = {"model": get_model_state_dict(model)}
    checkpoint.save(state, checkpoint_id=folder[0])
    momenta = copy.deepcopy(optimizer.state_dict())
    again = sharded()
    state = {"model": get_model_state_dict(again)}
    checkpoint.load(state, checkpoint_id=folder[0])
    set_model_state_dict(again, state["model"])
    resumed = optimizer_of(again)
    resumed.load_state_dict(momenta)
    seen = train(again, resumed, range(STEPS // 2, STEPS))
    torch.testing.assert_close(seen, EXPECTED[STEPS // 2 :], rtol=1e-3, atol=1e-4)


def check_materialised_from_meta() -> None:
    with torch.device("meta"):
        model = network()
    fully_shard(model, mesh=MESH)
    model.to_empty(device="cpu")
    assert torch.equal(gates(model), torch.full((5,), 0.5))
    model[1].reset_parameters()
    assert torch.equal(gates(model), torch.full((5,), 0.5))


CHECKS = {name: check for name, check in globals().items() if name.startswith("check_")}
