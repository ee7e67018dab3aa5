"""Running statistics of each domain: norms that share weight, bias and gate, and keep means and variances apart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from binorm.experiments.common.errors import UserError, lookup

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class DomainStatistics(nn.Module):
    """Keeps the running statistics of a network's norms once for each domain.

    Inside ``with statistics.of(domain):`` the network reads and updates those of that domain, and has its own again
    afterwards. So each batch should hold pictures of one domain. All start as copies of the network's own. They are
    buffers of this module (not of the network): they are saved in its state dict and move with ``.to()``, which should
    be called on both.

    Norms are all modules with ``running_mean`` and ``running_var``: batch norms, batch-instance norms and those built
    on them. Convert norms before, not after. A network without such norms (instance norm has none) has nothing to be
    kept apart, and computes the same for every domain.

    Raises:
        UserError: for no domains and one that is named twice.

    Source: Chang et al., *Domain-Specific Batch Normalization for Unsupervised Domain Adaptation*, CVPR 2019, section
    3.2, whose weights and biases are apart as well; here they are shared.

    Example:
        >>> statistics = DomainStatistics(network, ["photo", "sketch"])
        >>> with statistics.of("sketch"):
        ...     logits = network(sketches)
    """

    def __init__(self, network: nn.Module, domains: Sequence[str]) -> None:
        super().__init__()
        _check_domains(domains)
        self.domains = tuple(domains)
        # In a tuple, so that they are no children: the network's weights are saved elsewhere.
        self._places = tuple(_places(network))
        self._active: str | None = None
        for domain in self.domains:
            for norm, place, buffer in self._places:
                self.register_buffer(_key(domain, place), getattr(norm, buffer).detach().clone())

    @contextmanager
    def of(self, domain: str) -> Iterator[None]:
        """Let the network use, and in training update, the running statistics of ``domain``.

        Raises a `UserError` for an unknown domain, and a RuntimeError inside another ``of``.
        """
        self._check(domain, "of")
        self._active = domain
        own = [norm._buffers[buffer] for norm, _, buffer in self._places]
        try:
            for norm, place, buffer in self._places:
                norm._buffers[buffer] = self._buffers[_key(domain, place)]
            yield
        finally:
            for (norm, place, buffer), tensor in zip(self._places, own, strict=True):
                # A norm may have put another tensor there instead of writing into this one.
                self._buffers[_key(domain, place)] = norm._buffers[buffer]
                norm._buffers[buffer] = tensor
            self._active = None

    def store(self, domain: str) -> None:
        """Copy the running statistics of ``domain`` into the network, as for saving it; raises as ``of`` does."""
        self._check(domain, "store")
        for norm, place, buffer in self._places:
            getattr(norm, buffer).copy_(getattr(self, _key(domain, place)))

    def _check(self, domain: str, call: str) -> None:
        lookup("domain", domain, dict.fromkeys(self.domains))
        if self._active is not None:
            raise RuntimeError(f"{call}({domain!r}) inside of({self._active!r}): leave that one first")


def _check_domains(domains: Sequence[str]) -> None:
    if not domains or isinstance(domains, str):
        raise UserError(f"expected the names of domains (got {domains!r})")
    repeated = sorted({domain for domain in domains if domains.count(domain) > 1})
    if repeated:
        raise UserError(f"each domain should be named once (got {', '.join(repeated)} more than once)")
    if len({_key(domain, "") for domain in domains}) < len(domains):
        raise UserError(f"names of domains should differ by more than a dot and a slash (got {', '.join(domains)})")


def _places(network: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Each norm, the name of one of its buffers in the network, and in the norm."""
    for name, module in network.named_modules():
        buffers = [buffer for buffer in _BUFFERS if module._buffers.get(buffer) is not None]
        if {"running_mean", "running_var"} <= set(buffers):
            yield from ((module, f"{name}.{buffer}" if name else buffer, buffer) for buffer in buffers)


def _key(domain: str, place: str) -> str:
    """The name of a domain's buffer; PyTorch allows no dots in it."""
    return f"{domain}/{place}".replace(".", "/")
