import re
from colorsys import rgb_to_hls

import pytest
import torch
from matplotlib.colors import to_rgb
from torch import nn
from torch.nn import functional as F  # noqa: N812

from binorm import gate_parameters
from binorm.experiments.cli import main
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import MODELS, create
from binorm.experiments.models.norms import (
    NORMS,
    GroupNormAct,
    InstanceBatchNorm2d,
    InstanceBatchNormAct2d,
    Norm,
    SwitchableNorm2d,
    replace_first_norms,
)
from binorm.experiments.report.figures import theme
from binorm.experiments.runs.reading import norm_rank


def _maps(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1


@pytest.mark.parametrize(("channels", "groups"), [(16, 1), (32, 2), (64, 4), (512, 32), (24, 3), (3, 3)])
def test_group_norm_has_sixteen_channels_a_group(channels, groups):
    assert GroupNormAct(channels).num_groups == groups


def test_instance_batch_norm_normalizes_each_half_in_its_way():
    norm, x = InstanceBatchNorm2d(5).double(), _maps(4, 5, 3, 3)
    y = norm(x)
    torch.testing.assert_close(y[:, :2], F.instance_norm(x[:, :2]))
    torch.testing.assert_close(y[:, 2:], F.batch_norm(x[:, 2:], None, None, training=True))


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_switchable_norm_with_one_statistic_chosen_is_that_norm(chosen):
    x = _maps(4, 6, 5, 5).float()
    norm = SwitchableNorm2d(6)
    with torch.no_grad():
        norm.mean_weight[chosen] = norm.var_weight[chosen] = 100.0
    expected = (F.instance_norm(x), F.group_norm(x, 1), F.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(norm(x), expected[chosen], rtol=1e-4, atol=1e-5)


def test_switchable_norm_mixes_statistics_as_the_paper_says():
    x = _maps(3, 4, 5, 5).float()
    norm = SwitchableNorm2d(4)
    weights = torch.tensor([0.2, 0.3, 0.5])
    with torch.no_grad():
        norm.mean_weight.copy_(weights.log())
        norm.var_weight.copy_(weights.flip(0).log())
    dims = ((2, 3), (1, 2, 3), (0, 2, 3))
    mean = sum(w * x.mean(d, keepdim=True) for w, d in zip(weights, dims, strict=True))
    var = sum(w * x.var(d, correction=0, keepdim=True) for w, d in zip(weights.flip(0), dims, strict=True))
    torch.testing.assert_close(norm(x), (x - mean) / (var + 1e-5).sqrt(), rtol=1e-4, atol=1e-5)


def test_switchable_norm_keeps_batch_norms_running_statistics_and_uses_them():
    x = _maps(4, 6, 5, 5).float()
    norm, batch_norm = SwitchableNorm2d(6), nn.BatchNorm2d(6)
    norm(x), batch_norm(x)
    torch.testing.assert_close(norm.running_mean, batch_norm.running_mean)
    torch.testing.assert_close(norm.running_var, batch_norm.running_var)
    with torch.no_grad():
        norm.mean_weight[2] = norm.var_weight[2] = 100.0
    torch.testing.assert_close(norm.eval()(x), batch_norm.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_every_norm_adds_the_residual_before_the_relu(norm):
    x, residual = _maps(4, 16, 5, 5).float(), _maps(4, 16, 5, 5).float().flip(0)
    with_act, without = NORMS[norm].layer(16), NORMS[norm].layer(16, apply_act=False)
    torch.testing.assert_close(with_act(x, residual), F.relu(without(x) + residual))
    assert without(x).min() < 0
    half = with_act(x.bfloat16(), residual.bfloat16())
    torch.testing.assert_close(half.float(), with_act(x, residual), rtol=0.05, atol=0.1)


def test_ibn_a_changes_the_first_norm_of_each_block_of_three_stages():
    changed = {
        name
        for name, module in create("resnet14", 10, "ibn-a").named_modules()
        if isinstance(module, InstanceBatchNormAct2d)
    }
    assert changed == {f"stage{stage}.{block}.norm1" for stage in (1, 2, 3) for block in (0, 1)}


def test_ibn_a_leaves_the_fourth_stage_alone():
    stage = nn.Sequential(nn.ModuleDict({"norm1": nn.BatchNorm2d(8)}))
    network = nn.ModuleDict({"stage3": stage, "stage4": nn.Sequential(nn.ModuleDict({"norm1": nn.BatchNorm2d(8)}))})
    replace_first_norms(network, "four stages", NORMS["ibn-a"])
    assert isinstance(network["stage3"][0]["norm1"], InstanceBatchNormAct2d)
    assert isinstance(network["stage4"][0]["norm1"], nn.BatchNorm2d)


def test_ibn_a_without_blocks_is_an_error():
    with pytest.raises(UserError, match="plain has none: choose another norm"):
        replace_first_norms(nn.Sequential(nn.BatchNorm2d(3)), "plain", NORMS["ibn-a"])


@pytest.mark.parametrize("norm", ["gn", "ibn-a", "sn"])
def test_rivals_train(norm):
    network = create("resnet8", 10, norm).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(network(torch.randn(4, 3, 32, 32)), torch.arange(4))
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


class Centred(nn.Module):
    """A norm that nobody registered: each channel without its mean."""

    def __init__(self, num_features, *, apply_act=True):
        super().__init__()
        self.apply_act = apply_act

    def forward(self, x, residual=0):
        y = x - x.mean((2, 3), keepdim=True) + residual
        return y.relu() if self.apply_act else y


@pytest.fixture
def centred(monkeypatch):
    monkeypatch.setitem(NORMS, "centred", Norm("centred", "#123456", "nobody", Centred))


@pytest.mark.usefixtures("centred")
@pytest.mark.parametrize("name", [*MODELS, "torchvision:resnet18", "timm:efficientnet_lite0"])
def test_one_record_is_enough_for_every_network(name):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    with torch.device("meta"):
        networks = {norm: create(name, 10, norm) for norm in ("bn", "centred")}
    norms = sum(isinstance(each, nn.BatchNorm2d) for each in networks["bn"].modules())
    assert sum(isinstance(each, Centred) for each in networks["centred"].modules()) == norms > 0
    assert not any(isinstance(each, nn.BatchNorm2d) for each in networks["centred"].modules())


@pytest.mark.usefixtures("centred")
def test_one_record_is_enough_for_the_command_line(tmp_path, capsys):
    assert main(["compare", "digits", "--norms", "centred,bmn", "--seeds", "1", "--out", str(tmp_path)]) == 2
    assert re.search("unknown norm 'bmn', .*Known: bn, .*, centred", capsys.readouterr().err)


@pytest.mark.usefixtures("centred")
def test_one_record_is_enough_for_reports():
    assert theme.norm_colours(["zeta", "centred", "bin"]) == {"bin": "#d55e00", "centred": "#123456", "zeta": "#6b6b6b"}
    assert sorted(["alpha", "centred", "sn", "bin", "bn"], key=norm_rank) == ["bn", "bin", "sn", "centred", "alpha"]
    assert rgb_to_hls(*to_rgb(theme._lighter("#123456")))[1] == pytest.approx(0.7, abs=0.01)  # on dark pages


@pytest.mark.parametrize("name", ["resnet8", "preresnet110", "torchvision:resnet18"])
def test_each_named_norm_is_really_in_the_network(name):
    """No two names make the same network: they compute something else, or learn other gates."""
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = {}
    for norm in NORMS:
        torch.manual_seed(0)
        network = create(name, 3, norm)
        with torch.no_grad():
            computed = network(x).flatten().tolist()
        learned = sum(gate.numel() for gate in gate_parameters(network) if gate.requires_grad)
        found[norm] = (learned, tuple(computed))
    assert len(set(found.values())) == len(NORMS)
    assert [norm for norm, (learned, _) in found.items() if learned] == ["bin"]


@pytest.mark.parametrize("command", ["train", "compare"])
def test_help_names_every_norm(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    named = re.findall(r"--norms? NORMS? (.*?) --seed", text)[-1]  # the usage line names none
    assert all(norm in named for norm in NORMS)


def test_names_and_colours_tell_norms_apart():
    assert all(name == norm.name and norm.source for name, norm in NORMS.items())
    assert len({norm.colour for norm in NORMS.values()}) == len(NORMS)
    assert {norm.colour for norm in NORMS.values()} <= theme.DARK.keys()
