from copy import deepcopy

import pytest
import torch
from torch import nn

from binorm import BatchInstanceNorm1d
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import create
from binorm.experiments.models.domain_statistics import DomainStatistics
from binorm.experiments.models.head import FeatureTap

DOMAINS = ("photo", "sketch")


def _pictures(domain, step=0):
    """Each domain has a brightness and a contrast of its own."""
    generator = torch.Generator().manual_seed(step)
    noise = torch.randn(6, 3, 20, 20, generator=generator)
    return noise + 2 if domain == "photo" else 3 * noise - 1


def _network(norm="bin"):
    torch.manual_seed(0)
    return create("dann_digits", 5, norm)


def _buffers(network):
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def _assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("norm", ["bn", "bin", "bn+in", "sn", "ibn-a"])
def test_statistics_are_those_of_networks_that_saw_one_domain_each(norm):
    torch.manual_seed(0)
    network = create("resnet8" if norm == "ibn-a" else "dann_digits", 5, norm)
    alone = {domain: deepcopy(network) for domain in DOMAINS}
    statistics = DomainStatistics(network, DOMAINS)
    before = _buffers(network)
    for step in range(3):
        for domain in DOMAINS:
            pictures = _pictures(domain, step)
            with statistics.of(domain):
                logits = network(pictures)
            assert torch.equal(logits, alone[domain](pictures))
    _assert_equal(_buffers(network), before)
    network.eval()
    for domain in DOMAINS:
        x = _pictures(domain, 9)
        with statistics.of(domain):
            _assert_equal(_buffers(network), _buffers(alone[domain]))
            assert torch.equal(network(x), alone[domain].eval()(x))
    assert not torch.equal(*(alone[domain](x) for domain in DOMAINS))


def test_what_is_learned_is_shared():
    network = _network()
    statistics = DomainStatistics(network, DOMAINS)
    assert not list(statistics.parameters())
    assert not list(statistics.children())
    for domain in DOMAINS:
        with statistics.of(domain):
            network(_pictures(domain)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_no_tensor_is_copied_on_the_way_in_and_out():
    network = _network()
    own = [buffer.data_ptr() for buffer in network.buffers()]
    statistics = DomainStatistics(network, DOMAINS)
    kept = {buffer.data_ptr() for buffer in statistics.buffers()}
    with statistics.of("photo"):
        network(_pictures("photo"))
        inside = [buffer.data_ptr() for buffer in network.buffers()]
    assert set(inside) < kept
    assert [buffer.data_ptr() for buffer in network.buffers()] == own
    with statistics.of("photo"):
        assert [buffer.data_ptr() for buffer in network.buffers()] == inside


def test_a_tensor_that_a_norm_put_in_place_of_the_buffer_is_kept():
    network = nn.BatchNorm2d(3)
    statistics = DomainStatistics(network, DOMAINS)
    with statistics.of("photo"):
        network.running_mean = torch.full((3,), 7.0)
    assert (network.running_mean == 0).all()
    with statistics.of("photo"):
        assert (network.running_mean == 7).all()


def test_evaluation_changes_no_statistics():
    network = _network().eval()
    statistics = DomainStatistics(network, DOMAINS)
    before = _buffers(statistics)
    with statistics.of("sketch"), torch.inference_mode():
        network(_pictures("sketch"))
    _assert_equal(_buffers(statistics), before)


def test_the_state_dict_brings_everything_back():
    network = _network()
    statistics = DomainStatistics(network, DOMAINS)
    for domain in DOMAINS:
        with statistics.of(domain):
            network(_pictures(domain))
    restored_network = _network()
    restored = DomainStatistics(restored_network, DOMAINS)
    restored_network.load_state_dict(network.state_dict())
    restored.load_state_dict(statistics.state_dict())
    _assert_equal(restored.state_dict(), statistics.state_dict())
    for domain in DOMAINS:
        with statistics.of(domain), restored.of(domain):
            assert torch.equal(restored_network.eval()(_pictures(domain)), network.eval()(_pictures(domain)))


def test_names_in_the_state_dict_say_domain_and_place():
    statistics = DomainStatistics(_network("bn"), ["mnist.m", "svhn"])
    places = [f"stage{number}/1/{name}" for number in (1, 2) for name in ("running_mean", "running_var")]
    expected = {f"{domain}/{place}" for domain in ("mnist/m", "svhn") for place in places}
    assert {name for name in statistics.state_dict() if "num_batches" not in name} == expected


def test_the_networks_own_state_dict_stays_a_plain_networks():
    network = _network()
    names = list(network.state_dict())
    statistics = DomainStatistics(network, DOMAINS)
    with statistics.of("photo"):
        assert list(network.state_dict()) == names


def test_store_leaves_a_domains_statistics_in_the_network():
    network = _network()
    statistics = DomainStatistics(network, DOMAINS)
    with statistics.of("sketch"):
        network(_pictures("sketch"))
        expected = _buffers(network)
    statistics.store("sketch")
    _assert_equal(_buffers(network), expected)
    network(_pictures("sketch"))  # and they are the network's own from then on
    with statistics.of("sketch"):
        _assert_equal(_buffers(network), expected)


def test_they_move_with_their_module():
    network = _network().double()
    statistics = DomainStatistics(network, DOMAINS).to(torch.float64)
    with statistics.of("photo"):
        assert network(_pictures("photo").double()).dtype == torch.float64
    network.float(), statistics.float()
    with statistics.of("photo"):
        assert network(_pictures("photo")).dtype == torch.float32
        assert network.stage1[1].running_mean.dtype == torch.float32


def test_a_copy_of_both_belongs_together():
    both = nn.ModuleDict({"network": _network()})
    both["statistics"] = DomainStatistics(both["network"], DOMAINS)
    copied = deepcopy(both)
    before = _buffers(both)
    with copied["statistics"].of("photo"):
        copied["network"](_pictures("photo"))
    _assert_equal(_buffers(both), before)
    with copied["statistics"].of("photo"):
        assert (copied["network"].stage1[1].num_batches_tracked == 1).all()


def test_compiled_in_place_with_a_tap_whichever_call_comes_first():
    network, reference = _network(), _network()
    taps = [FeatureTap(each, 5) for each in (network, reference)]
    statistics = [DomainStatistics(each, DOMAINS) for each in (network, reference)]
    network.compile(dynamic=False, backend="eager")
    assert taps[0].num_features(28) == 768
    torch.testing.assert_close(network(_pictures("photo")), reference(_pictures("photo")))
    for domain in (*DOMAINS, *DOMAINS):
        with statistics[0].of(domain), statistics[1].of(domain):
            torch.testing.assert_close(*(tap(_pictures(domain)) for tap in taps))
    torch.testing.assert_close(*(dict(each.state_dict()) for each in statistics))
    torch.testing.assert_close(*(dict(each.state_dict()) for each in (network, reference)))
    assert taps[0]._features is None
    torch.compiler.reset()


def test_an_error_inside_gives_the_network_its_own_statistics_back():
    network = _network()
    before = _buffers(network)
    statistics = DomainStatistics(network, DOMAINS)
    with pytest.raises(RuntimeError, match="expected input"), statistics.of("photo"):
        network(torch.zeros(2, 1, 28, 28))
    _assert_equal(_buffers(network), before)
    with statistics.of("sketch"):
        pass


def test_one_domain_at_a_time():
    statistics = DomainStatistics(_network(), DOMAINS)
    with statistics.of("photo"):
        with pytest.raises(RuntimeError, match=r"of\('sketch'\) inside of\('photo'\)"), statistics.of("sketch"):
            pass
        with pytest.raises(RuntimeError, match=r"store\('sketch'\) inside of\('photo'\)"):
            statistics.store("sketch")


def test_an_unknown_domain_is_an_error_that_names_the_known():
    statistics = DomainStatistics(_network(), DOMAINS)
    with pytest.raises(UserError, match="unknown domain 'foto', did you mean 'photo'. Known: photo, sketch"):
        statistics.of("foto").__enter__()
    with pytest.raises(UserError, match="unknown domain 'foto'"):
        statistics.store("foto")


@pytest.mark.parametrize(
    ("network", "domains", "message"),
    [
        (nn.BatchNorm2d(3), [], r"expected the names of domains \(got \[\]\)"),
        (nn.BatchNorm2d(3), "photo", r"expected the names of domains \(got 'photo'\)"),
        (nn.BatchNorm2d(3), ["a", "b", "a"], r"named once \(got a more than once\)"),
        (nn.BatchNorm2d(3), ["a.b", "a/b"], r"differ by more than a dot and a slash \(got a.b, a/b\)"),
    ],
)
def test_what_cannot_be_kept_apart_is_an_error(network, domains, message):
    with pytest.raises(UserError, match=message):
        DomainStatistics(network, domains)


@pytest.mark.parametrize("norm", ["in", "gn"])
def test_norms_without_running_statistics_have_nothing_to_keep_apart(norm):
    network = _network(norm)
    statistics = DomainStatistics(network, DOMAINS)
    assert not statistics.state_dict()
    expected = network(_pictures("photo"))
    with statistics.of("photo"):
        assert torch.equal(network(_pictures("photo")), expected)
    statistics.store("photo")


def test_norms_of_vectors_and_of_single_modules_count_too():
    network = BatchInstanceNorm1d(4)
    statistics = DomainStatistics(network, ["one"])
    with statistics.of("one"):
        network(torch.randn(8, 4) + 5)
        assert (network.running_mean > 0.2).all()
    assert (network.running_mean == 0).all()
