"""Where torchvision's data sets lie: a ``root`` with many of them, or a zip or tar file of what lies in it.

A set is what its ``usual_names`` say: files and folders relative to the root.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from binorm.experiments.data.trees.file_tree import FileTree, loose_files, open_tree
from binorm.experiments.data.trees.folder_walk import PassedOver


def is_present(usual_names: Sequence[str], path: Path) -> bool:
    """Whether the folder or archive ``path`` holds what the set consists of."""
    if path.is_dir():
        return all((path / file).exists() for file in usual_names)
    if not path.exists():
        return False
    with open_tree(path) as tree:
        return all(any(_is_below(each, file) for each in tree.names) for file in usual_names)


@contextmanager
def as_root(usual_names: Sequence[str], path: Path) -> Iterator[Path]:
    """A place as torchvision needs it: a folder.

    An archive's files are written to a temporary one. Where there are hidden files or other names of one file, which
    torchvision would take, the temporary folder has links to the others.
    """
    if path.is_dir() and not passed_over(usual_names, path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="binorm-") as temporary:
        for tree, folder in _trees(usual_names, path):
            for name in tree.names:
                if _is_of(usual_names, f"{folder}{name}"):
                    target = Path(temporary) / f"{folder}{name}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if path.is_dir():
                        target.symlink_to(tree.location(name))
                    else:
                        target.write_bytes(tree.read(name))
        yield Path(temporary)


def _trees(usual_names: Sequence[str], path: Path) -> Iterator[tuple[FileTree, str]]:
    """What a place holds of the set, and where in torchvision's root that is: its root often holds other sets too."""
    if not path.is_dir():
        with open_tree(path) as tree:
            yield tree, ""
        return
    loose = []
    for file in usual_names:
        if (path / file).is_dir():
            with open_tree(path / file) as tree:
                yield tree, f"{file}/"
        else:
            loose.append(file)
    if loose:
        yield loose_files(path, loose), ""


def passed_over(usual_names: Sequence[str], path: Path) -> PassedOver:
    """Hidden files, and further names of what is there already."""
    found: PassedOver = {}
    for tree, folder in _trees(usual_names, path):
        for reason, names in tree.passed_over.items():
            below = [name for name in (f"{folder}{each}" for each in names) if _is_of(usual_names, name)]
            if below:
                found.setdefault(reason, []).extend(below)
    return found


def _is_of(usual_names: Sequence[str], name: str) -> bool:
    return any(_is_below(name, file) for file in usual_names)


def _is_below(name: str, folder: str) -> bool:
    """Whether an archive's member is ``folder`` or lies in it; one that climbs out again does not."""
    return (name == folder or name.startswith(f"{folder}/")) and ".." not in name.split("/")


def fingerprint(usual_names: Sequence[str], path: Path) -> str:
    """Changes whenever the set's files do; its root often holds other sets, which do not matter."""
    facts = [tree.fingerprint for tree, _ in _trees(usual_names, path)]
    return facts[0] if len(facts) == 1 else hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
