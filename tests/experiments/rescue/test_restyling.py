"""Pictures in another style."""

import pytest
import torch

from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.commands.rescuing import RESTYLINGS
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.restyling import KINDS, Restyling
from binorm.experiments.rescue.target import TargetStyle


def pictures(count=4, height=40, width=48):
    ramp = torch.linspace(60, 180, width).expand(count, 3, height, width).clone()
    ramp += 40 * torch.rand(ramp.shape, generator=torch.Generator().manual_seed(0))
    return ramp.to(torch.uint8)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(40, 48), (33, 9), (1, 1)])
def test_each_kind_changes_pictures_of_any_size_and_keeps_their_shape(kind, size):
    before = pictures(4, *size)
    after = Restyling((kind,))(before, seeded(1))
    assert after.shape == before.shape
    assert after.dtype == torch.uint8
    assert size == (1, 1) or not torch.equal(after, before)


def test_the_generator_alone_decides():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = Restyling()(pictures(8), seeded(3))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert torch.equal(Restyling()(pictures(8), seeded(3)), first)
    assert not torch.equal(Restyling()(pictures(8), seeded(4)), first)


def test_each_picture_gets_its_own_style():
    same = pictures(1).expand(6, -1, -1, -1)
    assert len({each.numpy().tobytes() for each in Restyling()(same, seeded(0))}) == 6


def test_the_pictures_stay_as_they_are():
    given = pictures()
    kept = given.clone()
    Restyling()(given, seeded(0))
    assert torch.equal(given, kept)


def test_fog_brings_pictures_nearer_to_each_other():
    spread = pictures().float().std()
    assert Restyling(("fog",))(pictures(), seeded(0)).float().std() < 0.8 * spread


def test_an_unknown_kind_is_named_with_the_nearest():
    with pytest.raises(UserError, match="unknown restyling 'fogg', did you mean 'fog'"):
        Restyling(("light", "fogg"))


def test_the_help_lists_the_kinds():
    assert ",".join(KINDS) == RESTYLINGS


# a target's style


def photographs(values, tmp_path):
    return Photographs(values, None, tuple(map(str, range(len(values)))), tmp_path)


def test_a_picture_gets_the_colours_of_the_target(tmp_path):
    target = pictures(4)
    target[:, 0] = target[:, 0] // 4
    restyle = TargetStyle(photographs(target, tmp_path), Restyling(), share=1.0)
    means = restyle(pictures(), seeded(0)).float().mean((2, 3))
    assert torch.allclose(means, target.float().mean((0, 2, 3)).expand(4, 3), atol=3)


def test_a_picture_gets_the_sharpness_of_the_target(tmp_path):
    def fine(values):
        return values.float().diff(dim=3).abs().mean()

    blurred = torch.nn.functional.avg_pool2d(pictures().float(), 5, 1, 2).to(torch.uint8)
    restyled = TargetStyle(photographs(blurred, tmp_path), Restyling(), share=1.0)(pictures(), seeded(0))
    assert fine(blurred) < 0.4 * fine(pictures())
    assert fine(restyled) < 0.6 * fine(pictures())


def test_the_share_of_the_target_is_a_half(tmp_path):
    dark = photographs(pictures() // 8, tmp_path)
    plain = TargetStyle(dark, lambda values, generator: values.clone())
    same = (plain(pictures(200, 8, 8), seeded(0)) == pictures(200, 8, 8)).flatten(1).all(1)
    assert 70 < int(same.sum()) < 130


def test_a_target_of_one_picture_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"at least 4 pictures \(got 1 in "):
        TargetStyle(photographs(pictures(1), tmp_path), Restyling())
