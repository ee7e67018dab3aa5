"""The classes that folders name: none of them lost, each a name that can be written."""

from collections.abc import Collection

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import is_picture, is_text, kind_of_stranger
from binorm.experiments.common.text import printable
from binorm.experiments.data.trees.file_tree import FileTree
from binorm.experiments.data.trees.folder_walk import by_reason


def check_class_names(tree: FileTree, names: Collection[str]) -> None:
    """Raise a `UserError` for a name of a class or domain that is not UTF-8: reports and figures could not show it."""
    for name in names:
        if not is_text(name):
            raise UserError(
                f"the name of the folder {printable(name)} in {tree.path} is not UTF-8, as old archives leave it: "
                "rename it (convmv -r -f latin1 -t utf8 --notest does so for all)"
            )


def check_no_class_is_lost(tree: FileTree, taken: Collection[str]) -> None:
    """Raise a `UserError` for a folder beside those of classes in which no picture is taken.

    A folder with nothing but texts, tables and the like is not meant as a class.

    Args:
        tree: where the folders are.
        taken: the folders of the classes that have pictures.
    """
    parents = {folder.rpartition("/")[0] for folder in taken}
    above = {folder[: end + 1].rstrip("/") for folder in taken for end, sign in enumerate(folder) if sign == "/"}
    for folder in sorted(tree.folders - set(taken) - above):
        if folder.rpartition("/")[0] not in parents:
            continue
        inside = [name for name in tree.names if name.startswith(f"{folder}/")]
        if inside and not any(is_picture(name) or kind_of_stranger(name) for name in inside):
            continue
        there = tree.left_out((), "", folder)
        raise UserError(
            f"the class folder {printable(folder)} in {tree.path} has no picture that is read"
            f"{f' ({by_reason(there)})' if there else ''}: put pictures into it, or take it away"
        )
