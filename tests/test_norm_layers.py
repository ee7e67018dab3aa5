"""What people do to batch norms, done to both kinds: finding, freezing, refreshing statistics."""

import copy
import pickle

import pytest
import torch
from naive import batch_of_styles
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

import binorm


def network(norm: type[nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 4, 3), norm(4))


NORMS = [nn.BatchNorm2d, binorm.BatchInstanceNorm2d, binorm.SyncBatchInstanceNorm, binorm.BatchInstanceNormAct2d]


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def train_a_step(model: nn.Module) -> None:
    torch.manual_seed(1)
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    model(batch_of_styles((4, 3, 9, 9), torch.float32)).pow(3).mean().backward()
    optimizer.step()


@pytest.mark.parametrize("norm", NORMS)
def test_norm_layers_are_both_kinds_each_once(norm) -> None:
    model = network(norm)
    model.append(model[1])
    assert list(binorm.norm_layers(model)) == [model[1], model[5]]
    assert list(binorm.norm_layers(nn.Sequential(nn.InstanceNorm2d(3), nn.GroupNorm(1, 3)))) == []


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("way", ["as it is", "deepcopy", "pickle", "compiled"])
def test_frozen_norm_layers_stay_frozen_through_every_call_of_train(norm, way) -> None:
    torch._dynamo.reset()
    model = binorm.freeze_(network(norm))
    model = {"deepcopy": copy.deepcopy, "pickle": lambda m: pickle.loads(pickle.dumps(m))}.get(way, lambda m: m)(model)
    before = state(model)
    called = torch.compile(model, backend="aot_eager", fullgraph=True) if way == "compiled" else model
    called.train()
    train_a_step(called)
    assert changed(model, before) == {"0.weight", "0.bias", "4.weight", "4.bias"}


@pytest.mark.parametrize("norm", NORMS)
def test_unfrozen_norm_layers_train_as_if_they_had_never_been_frozen(norm) -> None:
    model, free = network(norm), network(norm)
    binorm.freeze_(binorm.freeze_(model))  # twice is once
    binorm.unfreeze_(model)
    for each in (model, free):
        each.train()
        train_a_step(each)
    assert not changed(model, state(free))
    model.eval()
    assert binorm.unfreeze_(binorm.freeze_(model)) is model
    assert not model[1].training


@pytest.mark.parametrize("norm", NORMS)
def test_unfreezing_a_layer_by_itself_sets_its_statistics_moving(norm) -> None:
    model = network(norm).train()
    binorm.unfreeze_(binorm.freeze_(model)[1])
    train_a_step(model)
    assert model[1].num_batches_tracked == 1
    assert model[5].num_batches_tracked == 0


def test_unfreezing_leaves_frozen_what_was_frozen_before() -> None:
    model = network(binorm.BatchInstanceNorm2d)
    model[1].weight.requires_grad_(False)
    binorm.unfreeze_(pickle.loads(pickle.dumps(binorm.freeze_(model))))
    model = binorm.unfreeze_(copy.deepcopy(binorm.freeze_(model)))
    assert {name for name, each in model.named_parameters() if not each.requires_grad} == {"1.weight"}


def test_a_gate_that_a_frozen_layer_gets_is_frozen_with_it() -> None:
    model = binorm.convert_batch_norm(binorm.freeze_(network(nn.BatchNorm2d)))
    assert not any(gate.requires_grad for gate in binorm.gate_parameters(model))
    binorm.unfreeze_(model)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_freezing_again_remembers_what_learned_meanwhile() -> None:
    model = network(binorm.BatchInstanceNorm2d).requires_grad_(False)
    binorm.freeze_(model)
    model.requires_grad_(True)
    binorm.unfreeze_(binorm.freeze_(model))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_part_can_be_frozen() -> None:
    model = network(binorm.BatchInstanceNorm2d).train()
    binorm.freeze_(model[:3])
    before = state(model)
    train_a_step(model)
    moved = {name.partition(".")[0] for name in changed(model, before)}
    assert moved == {"0", "4", "5"}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("batches", ["tensors", "tuples"])
def test_statistics_are_those_of_the_loader_as_update_bn_takes_them(norm, batches) -> None:
    inputs = [batch_of_styles((4, 3, 9, 9), torch.float32) for _ in range(3)]
    loader = inputs if batches == "tensors" else [(x, torch.zeros(4)) for x in inputs]
    model, control = network(norm).eval(), network(nn.BatchNorm2d)
    model[1].momentum = control[1].momentum = 0.3
    torch.manual_seed(2)  # of the dropout
    binorm.update_statistics(model, loader, device="cpu")
    torch.manual_seed(2)
    update_bn(loader, control, device="cpu")
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(model[1], name), getattr(control[1], name))
    assert model[1].momentum == 0.3
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, binorm.BatchInstanceNorm2d])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_a_share_of_the_way_to_other_statistics(norm, share) -> None:
    """By hand, layer after layer, the first with its mix already when the second sees what comes out of it."""
    torch.manual_seed(0)
    model = nn.Sequential(norm(3), nn.Conv2d(3, 4, 3), norm(4), nn.Dropout(0.5)).double()
    model(batch_of_styles((8, 3, 9, 9)))  # statistics of its own
    by_hand, x = copy.deepcopy(model), 3 * batch_of_styles((5, 3, 9, 9)) + 1
    binorm.update_statistics(model, [x], share=share)
    by_hand.eval()
    for place in (0, 2):
        layer, seen = by_hand[place], by_hand[:place](x) if place else x
        var, mean = torch.var_mean(seen.detach(), (0, 2, 3))
        layer.running_mean.mul_(1 - share).add_(share * mean)
        layer.running_var.mul_(1 - share).add_(share * var)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for place in (0, 2):
            torch.testing.assert_close(getattr(model[place], name), getattr(by_hand[place], name))
    assert model.training
    assert not model[0]._forward_pre_hooks


def test_several_batches_count_alike_and_what_is_not_reached_stays() -> None:
    model = nn.Sequential(binorm.BatchInstanceNorm2d(3)).double()
    model.spare = binorm.BatchInstanceNorm2d(3).double()
    model.forward = lambda x: model[0](x)
    first, second = batch_of_styles((4, 3, 9, 9)), 2 * batch_of_styles((6, 3, 5, 5))
    binorm.update_statistics(model, [first, second, torch.empty(0, 3, 5, 5).double()], share=0.5)
    both = (first.mean((0, 2, 3)) + second.mean((0, 2, 3))) / 2
    torch.testing.assert_close(model[0].running_mean, 0.5 * both)
    assert torch.equal(model.spare.running_var, torch.ones(3).double())


def test_an_error_on_the_way_leaves_the_statistics_as_they_were() -> None:
    model = network(binorm.BatchInstanceNorm2d)
    before = state(model)
    x = batch_of_styles((4, 3, 9, 9), torch.float32)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="share should be from 0"):
            binorm.update_statistics(model, [x], share=share)
    with pytest.raises(TypeError):
        binorm.update_statistics(model, [x, None], share=0.1)
    assert not changed(model, before)


@pytest.mark.parametrize(("dtype", "batches"), [(torch.float16, 400), (torch.bfloat16, 1000)], ids=str)
def test_half_precision_statistics_are_mixed_in_float32(dtype, batches) -> None:
    layer = nn.BatchNorm2d(3).to(dtype)
    x = (200 + 150 * torch.randn(2, 3, 8, 8)).to(dtype)  # of which a sum over all batches is beyond float16
    binorm.update_statistics(layer, [x] * batches, share=0.5)
    var, mean = torch.var_mean(x.double(), (0, 2, 3))
    torch.testing.assert_close(layer.running_mean.double(), mean / 2, rtol=0.01, atol=0)
    torch.testing.assert_close(layer.running_var.double(), (1 + var) / 2, rtol=0.01, atol=0)


def test_a_layer_in_two_places_and_named_inputs_and_frozen_layers() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.frozen = binorm.BatchInstanceNorm2d(3), binorm.freeze_(nn.BatchNorm2d(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.frozen(self.norm(input=self.norm(x)))

    model, x = Twice(), batch_of_styles((4, 3, 9, 9), torch.float32)
    by_hand = copy.deepcopy(model.norm).eval()
    binorm.update_statistics(model, [x], share=0.5)
    totals = torch.zeros(3)
    for _ in range(2):
        var, mean = torch.var_mean(x, (0, 2, 3))
        totals += mean
        by_hand.running_mean.copy_(0.5 * mean)
        by_hand.running_var.copy_(0.5 + 0.5 * var)
        x = by_hand(x).detach()
    torch.testing.assert_close(model.norm.running_mean, 0.5 * totals / 2)
    assert torch.equal(model.frozen.running_mean, torch.zeros(3))


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_is_not_passed_by() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), binorm.BatchInstanceNorm2d(4)).eval()
    compiled, x = torch.compile(model, backend="eager"), batch_of_styles((4, 3, 9, 9), torch.float32)
    with torch.no_grad():
        compiled(x)
    binorm.update_statistics(compiled, [x], share=0.5)
    torch.testing.assert_close(model[1].running_mean, 0.5 * model[0](x).mean((0, 2, 3)))


def test_what_has_no_statistics_is_told_and_changes_nothing() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm.forward(x)

    x = batch_of_styles((4, 3, 9, 9), torch.float32)
    with pytest.raises(ValueError, match="no batch reached a norm layer"):
        binorm.update_statistics(Around(), [x], share=0.1)
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match=r"more than one value a channel to take a variance of \(got \(1, 3\)\)"):
        binorm.update_statistics(layer, [torch.ones(2, 3), torch.ones(1, 3)], share=0.1)
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        binorm.update_statistics(layer, [torch.ones(3)], share=0.1)
    binorm.update_statistics(layer, [torch.full((2, 3), torch.nan)], share=0.0)
    assert torch.equal(layer.running_mean, torch.zeros(3))


def test_statistics_are_taken_of_mappings_as_of_keyword_arguments() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = binorm.BatchInstanceNorm2d(3)

        def forward(self, *, pixel_values: Tensor, labels: list[str]) -> Tensor:
            return self.norm(pixel_values)

    model, x = Named(), batch_of_styles((4, 3, 9, 9), torch.float32)
    binorm.update_statistics(model, [{"pixel_values": x, "labels": ["a"]}], device="cpu")
    torch.testing.assert_close(model.norm.running_mean, x.mean((0, 2, 3)))


def test_a_batch_that_is_none_is_no_end_of_the_loader() -> None:
    x = batch_of_styles((4, 3, 9, 9), torch.float32)
    for loader in ([x, None, x], [None, x]):
        with pytest.raises((TypeError, AttributeError)):
            binorm.update_statistics(network(binorm.BatchInstanceNorm2d), loader)


def test_nested_inputs_are_moved_whole() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.seen = binorm.BatchInstanceNorm2d(3), []

        def forward(self, pair: tuple[Tensor, None]) -> Tensor:
            self.seen.append(pair[0].dtype)
            return self.norm(pair[0].float())

    model, x = Nested(), batch_of_styles((4, 3, 9, 9), torch.float32)
    binorm.update_statistics(model, [((x, None), 1), {"pair": (x, None)}], device="cpu")
    assert model.norm.num_batches_tracked == 2


def test_frozen_and_untracked_layers_keep_their_statistics_and_errors_keep_all() -> None:
    model = network(binorm.BatchInstanceNorm2d)
    train_a_step(model)
    binorm.freeze_(model[:3])
    model.append(binorm.BatchInstanceNorm2d(4, track_running_stats=False))
    before = state(model)
    with pytest.raises(ValueError, match="the loader is empty"):
        binorm.update_statistics(model, [])
    with pytest.raises(RuntimeError, match="channels"):
        binorm.update_statistics(model, [torch.zeros(2, 5, 9, 9)])
    assert model.training
    assert model[5].momentum == 0.1
    binorm.update_statistics(model, [batch_of_styles((4, 3, 9, 9), torch.float32)])
    moved = {name for name in changed(model, before) if name.startswith("1.")}
    assert not moved
    assert "5.running_mean" in changed(model, before)
