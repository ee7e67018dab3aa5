"""Data sets whose domains are folders of pictures, in a folder, zip or tar file.

Pictures of any shape are brought whole to one square size. Each domain is decoded and cached by itself, so that a run
pays for the domains that it uses. ``domain_folders.yaml`` says which data sets there are, `domain_layout` how they are
found.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.data.domains import Domain, DomainSet, choose, common_classes, relabel, split_off_test
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.domain_layout import DomainFiles, TreeLayout, find_domains
from binorm.experiments.data.readers.entry import OWN_SPLIT, DomainEntry
from binorm.experiments.data.readers.examination import Examined, examine_files
from binorm.experiments.data.readers.image_folder import check_memory, read_pictures
from binorm.experiments.data.readers.tables import read_table
from binorm.experiments.data.trees.file_tree import FileTree, open_tree, remarks_on
from binorm.experiments.data.trees.folder_walk import PassedOver
from binorm.experiments.data.trees.splits import UNSPLIT


@dataclass(frozen=True, kw_only=True)
class FolderSet(TreeLayout, DomainEntry):
    """One data set.

    A picture that cannot be decoded is left out and named; in a published test split it is an error.

    Attributes:
        size: height and width that its pictures are brought to, in pixels; less where memory would not hold them.
        mean: per colour channel, of pixels in [0, 1].
        std: per colour channel.
    """

    size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def read_domains(self, path: Path, size: int, shared_classes: bool, only: Sequence[str] | None) -> DomainSet:
        """From a folder, zip or tar file."""
        domains, skipped = {}, []
        with open_tree(path) as tree:
            found = find_domains(tree, self, only)
            files = self._chosen(tree, found.domains, only)
            classes = common_classes(
                self.name, {name: domain.classes for name, domain in files.items()}, shared_classes
            )
            check_memory(sum(len(domain) for domain in files.values()), (size, size))
            for name, domain in files.items():
                decoded = _decoded(tree, self.name, name, domain, size)
                skipped += [file for split in decoded.values() for file in split.skipped]
                domains[name] = relabel(_split(name, domain, decoded), domain.classes, classes)
        return DomainSet(
            name=self.name,
            source=path.name,
            classes=classes,
            domains=domains,
            mean=self.mean,
            std=self.std,
            published_split=not any(UNSPLIT in domain.files for domain in files.values()),
            skipped=tuple(skipped),
            remarks=(*remarks_on(found.left_out), *(each for domain in domains.values() for each in domain.remarks)),
        )

    def _chosen(
        self, tree: FileTree, found: dict[str, DomainFiles], only: Sequence[str] | None
    ) -> dict[str, DomainFiles]:
        wanted = choose(self.name, tuple(self.folders or found), only)
        if absent := [domain for domain in wanted if domain not in found]:
            expected = " or ".join(f"{folder}/<class>/<picture>.jpg or .png" for folder in self.folders[absent[0]])
            raise UserError(f"{tree.path} has no pictures of the domain {absent[0]}: expected {expected}")
        return found

    def names_at(self, path: Path) -> tuple[str, ...]:
        """The domains that are at ``path``, as far as it is known without decoding."""
        with open_tree(path) as tree:
            return tuple(find_domains(tree, self).domains)

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every picture at ``path``, decoded at its own size; its split is its domain."""
        with open_tree(path) as tree:
            found = find_domains(tree, self).domains
            classes = sorted({each for files in found.values() for each in files.classes})
            for domain, own in found.items():
                labelled = [pair for files in own.files.values() for pair in files]
                files = {domain: [(file, classes.index(own.classes[label])) for file, label in labelled]}
                yield from examine_files(tree, files)

    def passed_over(self, path: Path) -> PassedOver:
        """See `Entry.passed_over`."""
        with open_tree(path) as tree:
            return find_domains(tree, self).left_out


def _decoded(tree: FileTree, name: str, domain: str, found: DomainFiles, size: int) -> Splits:
    def read() -> Splits:
        try:
            return {
                split: read_pictures(tree, files, (size, size), skip_broken=split != "test", resize=True)
                for split, files in found.files.items()
            }
        except UserError as error:
            raise UserError(f"the domain {domain} of {name}: {error}") from error

    facts = repr((tree.fingerprint_of(found.names), found.files)).encode()
    return cached(f"{name}-{size}-{hashlib.sha256(facts).hexdigest()[:32]}", read)


def _split(domain: str, found: DomainFiles, decoded: Splits) -> Domain:
    if UNSPLIT in decoded:
        return split_off_test(domain, decoded[UNSPLIT].images, found.classes)
    return Domain(decoded["train"].images, decoded["test"].images)


def _folder_set(fields: dict[str, Any]) -> FolderSet:
    plain = FolderSet(**fields)
    has_split = plain.listed or "test" in plain.between.values()
    return replace(
        plain,
        needs=f"the folder, zip or tar file with {plain.layout}",
        split=f"as published where a copy has its lists or folders, else {OWN_SPLIT}" if has_split else OWN_SPLIT,
        domains=tuple(plain.folders),
    )


FOLDER_SETS = {name: _folder_set(fields) for name, fields in read_table("domain_folders.yaml").items()}
