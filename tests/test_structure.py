"""The house: what may be imported where, how many rooms a floor has, and that CONTRIBUTING.md draws it as it is.

That imports point downwards and go in no circle is checked by ``lint-imports`` in ``make lint``.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/binorm"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXPERIMENTS = "binorm.experiments."
MAP = re.compile(r"^```text\n(?P<rooms>cli .*?)^```$", re.MULTILINE | re.DOTALL)


def floors() -> list[list[str]]:
    """Of the contract: the modules of each floor, from the top to the ground."""
    (contract,) = (each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    return [floor.split(" | ") for floor in contract["layers"]]


def place(room: str) -> Path:
    return PACKAGE.parent / room.replace(".", "/")


def children(folder: Path) -> list[str]:
    """Names of the modules and folders of a folder."""
    return sorted(
        path.stem
        for path in folder.iterdir()
        if (path.suffix == ".py" or path.is_dir()) and path.name not in ("__init__.py", "__pycache__")
    )


def test_contract_names_every_room() -> None:
    rooms = [room for floor in floors() for room in floor]
    assert all(place(room).is_dir() or place(room).with_suffix(".py").is_file() for room in rooms)
    experiments = [f"{EXPERIMENTS}{name}" for name in children(PACKAGE / "experiments")]
    others = [f"binorm.{name}" for name in children(PACKAGE) if name != "experiments"]
    assert sorted(rooms) == sorted(experiments + others)


def test_contributing_draws_the_floors_in_the_order_of_the_contract() -> None:
    drawing = MAP.search((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert drawing is not None
    drawn = [line.split(maxsplit=1)[0] for line in drawing["rooms"].splitlines() if line.strip()]
    assert drawn == [room.removeprefix(EXPERIMENTS).removeprefix("binorm.") for floor in floors() for room in floor]


FOLDERS = sorted(path for path in (PACKAGE, *PACKAGE.rglob("*")) if path.is_dir() and (path / "__init__.py").exists())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_holds_what_a_reader_can_look_over(folder) -> None:
    assert len(children(folder)) <= 24


# Imported only inside functions that say what is missing: what an extra or another library brings to the layer.
ASKED_LATE = {"plots.py": {"matplotlib"}, "timm_registry.py": {"timm"}, "gates.py": {"accelerate"}}


def imported(node: ast.AST, everywhere: bool) -> Iterator[str]:
    """Top-level names of what a module imports, in functions too where ``everywhere``; not what is for types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield (child.module or "binorm").partition(".")[0]
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        elif everywhere or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imported(child, everywhere)


def modules_of(paths: list[Path], everywhere: bool) -> dict[str, set[str]]:
    """By file: what it imports besides the standard library and binorm."""
    known = sys.stdlib_module_names | {"binorm"}
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    return {str(path.relative_to(PACKAGE)): set(imported(tree, everywhere)) - known for path, tree in trees.items()}


@cache
def installed_with(extra: str) -> frozenset[str]:
    """Names of distributions that ``pip install binorm[extra]`` asks for, ours among them followed."""
    wanted = {"torch"}
    for text in PROJECT["project"]["optional-dependencies"][extra]:
        requirement = Requirement(text)
        own = requirement.name == "binorm"
        wanted |= (
            {name for each in requirement.extras for name in installed_with(each)}
            if own
            else {canonicalize_name(requirement.name)}
        )
    return frozenset(wanted)


def test_layer_imports_torch_alone() -> None:
    files = [*PACKAGE.glob("*.py"), *(PACKAGE / "backends").rglob("*.py")]
    for name, modules in modules_of(files, everywhere=True).items():
        allowed = {"torch"} | ASKED_LATE.get(name, set()) | ({"triton"} if "backends/triton" in name else set())
        assert modules <= allowed, f"{name} imports {sorted(modules - allowed)}"


@pytest.mark.parametrize(("room", "extra"), [("experiments", "experiments"), ("demo", "demo")])
def test_what_is_imported_at_the_head_of_a_file_comes_with_the_extra(room, extra) -> None:
    """Whatever a further extra brings is imported in functions, where its absence can be told."""
    distributions = packages_distributions()
    for name, modules in modules_of([*(PACKAGE / room).rglob("*.py")], everywhere=False).items():
        for module in modules:
            owners = {canonicalize_name(each) for each in distributions.get(module, [])}
            assert owners & installed_with(extra), f"{name} imports {module} at its head: no part of binorm[{extra}]"
