"""Data sets whose domains are folders of pictures, in a folder, zip or tar file.

Pictures of any shape are brought whole to one square size. Each domain is decoded and cached by itself, so that a run
pays for the domains that it uses. `domain_table` says which data sets there are, `domain_layout` how they are found.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.domains import Domain, DomainSet, choose, common_classes, relabel, split_off_test
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.domain_layout import UNSPLIT, DomainFiles, find_domains
from binorm.experiments.data.readers.domain_table import FOLDER_SETS
from binorm.experiments.data.readers.file_tree import FileTree, open_tree
from binorm.experiments.data.readers.image_folder import check_memory, read_pictures
from binorm.experiments.data.verification import Examined, examine_files

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def load(path: Path, image_size: int, shared_classes: bool, only: Sequence[str] | None, name: str) -> DomainSet:
    """Read one of `FOLDER_SETS`; the first time decodes, later ones are cached.

    A picture that cannot be decoded is left out and named; in a published test split it is an error.

    Args:
        path: a folder, zip or tar file.
        image_size: height and width to bring every picture to, in pixels; 0 for the set's own.
        shared_classes: use only the classes that all chosen domains have.
        only: the domains to read; None for all.
        name: which set.

    Raises:
        UserError: if there is nothing, or something else, at ``path``; for unknown, absent and empty domains; for
            domains with different classes; and for more than fits into memory.
    """
    size = image_size or FOLDER_SETS[name].size
    domains, skipped = {}, []
    with open_tree(path) as tree:
        found = _chosen(tree, name, only)
        published_split = _is_split(path, found)
        classes = common_classes(name, {domain: files.classes for domain, files in found.items()}, shared_classes)
        check_memory(sum(len(files) for files in found.values()), (size, size))
        for domain, files in found.items():
            decoded = _decoded(tree, name, domain, files, size)
            skipped += [file for split in decoded.values() for file in split.skipped]
            domains[domain] = relabel(_split(domain, files, decoded), files.classes, classes)
    return DomainSet(
        name=name,
        source=path.name,
        classes=classes,
        domains=domains,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        published_split=published_split,
        skipped=tuple(skipped),
    )


def names_at(path: Path, name: str) -> tuple[str, ...]:
    """The domains of one of `FOLDER_SETS` that are at ``path``.

    Raises:
        UserError: as `load` does, as far as it is known without decoding.
    """
    with open_tree(path) as tree:
        return tuple(find_domains(tree, name))


def examine(path: Path, name: str) -> Iterator[Examined]:
    """Every picture of one of `FOLDER_SETS` at ``path``, decoded at its own size; its split is its domain."""
    with open_tree(path) as tree:
        found = find_domains(tree, name)
        classes = sorted({each for files in found.values() for each in files.classes})
        for domain, own in found.items():
            labelled = [pair for files in own.files.values() for pair in files]
            files = {domain: [(file, classes.index(own.classes[label])) for file, label in labelled]}
            yield from examine_files(tree, files)


def _chosen(tree: FileTree, name: str, only: Sequence[str] | None) -> dict[str, DomainFiles]:
    folders, found = FOLDER_SETS[name].folders, find_domains(tree, name, only)
    if absent := [domain for domain in choose(name, tuple(folders or found), only) if domain not in found]:
        expected = " or ".join(f"{folder}/<class>/<picture>.jpg or .png" for folder in folders[absent[0]])
        raise UserError(f"{tree.path} has no pictures of the domain {absent[0]}: expected {expected}")
    return found


def _is_split(path: Path, found: Mapping[str, DomainFiles]) -> bool:
    """Whether the split is published, which goes for all domains or for none."""
    unsplit = [domain for domain, files in found.items() if UNSPLIT in files.files]
    if unsplit and len(unsplit) < len(found):
        split = next(domain for domain in found if domain not in unsplit)
        raise UserError(
            f"{path} has the published split of {split}, but not that of {unsplit[0]}: add its folders or lists, or "
            "take away those of every domain"
        )
    return not unsplit


def _decoded(tree: FileTree, name: str, domain: str, found: DomainFiles, size: int) -> Splits:
    def read() -> Splits:
        try:
            return {
                split: read_pictures(tree, files, (size, size), skip_broken=split != "test", resize=True)
                for split, files in found.files.items()
            }
        except UserError as error:
            raise UserError(f"the domain {domain} of {name}: {error}") from error

    facts = repr((_fingerprint(tree, found.folder), found.files)).encode()
    return cached(f"{name}-{size}-{hashlib.sha256(facts).hexdigest()[:32]}", read)


def _fingerprint(tree: FileTree, folder: str) -> str:
    """Of one domain's files, so that another that comes or goes does not matter; an archive changes as a whole."""
    if not tree.path.is_dir():
        return tree.fingerprint
    with open_tree(tree.path / folder) as domain:
        return domain.fingerprint


def _split(domain: str, found: DomainFiles, decoded: Splits) -> Domain:
    if UNSPLIT in decoded:
        return split_off_test(domain, decoded[UNSPLIT].images, found.classes)
    return Domain(decoded["train"].images, decoded["test"].images)
