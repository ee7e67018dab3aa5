"""Pictures in another style."""

import pytest
import torch

from binorm.experiments.commands.rescuing import RESTYLINGS
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.restyling import KINDS, Restyling


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
