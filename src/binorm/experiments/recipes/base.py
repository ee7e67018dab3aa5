"""What every recipe says, and reading one: from a YAML file and the command line to checked values."""

import dataclasses
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.text import printable

TRAIN = "train"  # what accuracies on the training images are called; so no evaluation set can be
VALIDATION = "validation"  # the name of the evaluation set that the recipe's field of that name holds out
FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an experiment trains, on what, and how. Each kind of training adds fields of its own.

    Args:
        name: the recipe's name, and that of its folder of runs.
        title: one line for people.
        task: what a training step computes: classification, mixed, adaptation, generalization or stylization.
        batch_size: images a step; with several domains, of each domain.
        image_size: height and width in pixels of the images that the network sees.
        flip: training images are mirrored half of the time.
        lr: learning rate at the start.
        gate_lr_scale: the gates' learning rate is this times lr.
        precision: auto takes bfloat16 where the machine computes fast in it.
        compile: torch.compile the network; auto does where a compiler is at hand and the run is long enough to gain.
            ``graphs`` records the network's passes as CUDA graphs instead: for small networks on a GPU, whose time is
            that of launching kernels.
    """

    LEAST: ClassVar[dict[str, float]] = {"batch_size": 1, "image_size": 0, "lr": 0, "gate_lr_scale": 0}
    NOT_OPTIONS: ClassVar[frozenset[str]] = frozenset({"name", "title"})  # fields that the command line does not set
    PATHS: ClassVar[tuple[str, ...]] = ()  # fields that may hold a path of this machine
    UNIT: ClassVar[str] = "epoch"  # of training time; a field of its plural holds the length, one of full_ that in full
    METRICS: ClassVar[tuple[str, ...]] = ()  # columns that every run's metrics have, besides unit, seconds and speed

    name: str
    title: str
    task: str
    batch_size: int
    lr: float
    image_size: int = 0
    flip: bool = False
    gate_lr_scale: float = 10.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "yes", "no", "graphs"] = "auto"

    def __post_init__(self) -> None:
        for name, least in self.LEAST.items():
            if not getattr(self, name) >= least:
                raise UserError(f"{name} should be at least {least} (got {getattr(self, name)})")

    @property
    def num_epochs(self) -> int:
        """What the trainer counts as epochs: the rows of metrics of a whole run."""
        raise NotImplementedError

    @property
    def length(self) -> tuple[int, int, str]:
        """The run's length, that of the full recipe, and their unit in the singular: ``(5, 60, "epoch")``."""
        raise NotImplementedError

    @property
    def series(self) -> tuple[str, ...]:
        """The folders, below that of all runs, of the runs that one report is about."""
        return (self.name,)

    @property
    def place(self) -> tuple[str, ...]:
        """The folders between the series and the norm, from the general to the special."""
        return ()

    @classmethod
    def from_fields(cls, fields: dict[str, Any], source: str) -> Self:
        """A recipe from plain values, each checked against its field's type.

        Raises:
            UserError: for a missing field or a value of the wrong type; it names ``source``.
        """
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(cls)
        try:
            return cls(**parser.parse_object(fields).as_dict())
        except ArgumentError as error:
            raise UserError(f"{source}: {explain(error)}") from error

    @classmethod
    def from_overrides(cls, fields: dict[str, Any], overrides: dict[str, Any], source: str) -> Self:
        """A recipe from the fields of its file and those given instead of them; a change of length scales nothing."""
        return cls.from_fields({**fields, **overrides}, source)


def field_names(kind: type[Recipe]) -> dict[str, None]:
    """Every field of a kind of recipe, in order."""
    return dict.fromkeys(each.name for each in dataclasses.fields(kind))


def field_types(kind: type[Recipe]) -> dict[str, Any]:
    """The type of every field of a kind of recipe."""
    hints = get_type_hints(kind)
    return {name: hints[name] for name in field_names(kind)}


def field_help(kind: type[Recipe]) -> dict[str, str]:
    """What every field of a kind of recipe means, from the docstrings: a kind's own words before those of its base."""
    texts: dict[str, str] = {}
    for each in kind.__mro__:
        lines = inspect.cleandoc(each.__doc__ or "").replace("\n        ", " ").splitlines()
        pairs = (line.strip().split(": ", 1) for line in lines if line.startswith("    ") and ": " in line)
        texts = dict(pairs) | texts
    return {name: texts[name] for name in field_names(kind) if name in texts}


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_fields(name: str, readers: tuple[Path, ...] = ()) -> tuple[Path, dict[str, Any]]:
    """The file of a recipe, by its name or a path, and the fields that it gives, over those of its ``base``.

    Args:
        name: of a recipe, or the path of a YAML file. A file's field ``base`` is such a name as well.
        readers: the files that name this one as their base.

    Raises:
        UserError: for an unknown recipe, a file that is none, and one that is its own base.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    else:
        path = lookup("recipe", name, {each: FOLDER / f"{each}.yaml" for each in recipe_names()})
    if path in readers:
        raise UserError(f"{path} is its own base: {' -> '.join(map(str, (*readers, path)))}")
    fields = _read_yaml(path)
    if "base" in fields:
        fields = read_fields(str(fields.pop("base")), (*readers, path))[1] | fields
    return path, {**fields, "name": printable(path.stem)}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(fields, dict):
        raise UserError(f"{path} should hold the fields of a recipe, one 'name: value' a line")
    return fields


def explain(error: ArgumentError) -> str:
    """What the parser found wrong, in one line: ``epochs should be a whole number (got 'many')``."""
    found = re.search(r'Parser key "(\w+)":\s*Expected a (.*)\. Got value: (.*)', str(error), re.DOTALL)
    if not found:
        return re.sub(r"required: \w+\.", "required: ", " ".join(str(error).split()))
    name, kind, value = found.groups()
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "list": "a list of numbers"}
    choices = re.findall(r"'([^']+)'", kind)
    expected = words.get(choices[0], choices[0]) if kind.startswith("<class") else f"one of {', '.join(choices)}"
    return f"{name} should be {expected} (got {value!r})"
