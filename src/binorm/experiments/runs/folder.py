"""The folder of a run: where it is, whether it is begun or finished, and who may write to it."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import CONFIG_FILE, LOCK_FILE, RUN_FILE
from binorm.experiments.common.text import printable
from binorm.experiments.recipes.base import Recipe


def run_folder(out: Path, recipe: Recipe, norm: str, seed: int) -> Path:
    """Where a run lives: ``<out>/<recipe>/<norm>/seed<k>``, and before the norm what the kind of training adds."""
    return out.joinpath(*recipe.series, *recipe.place, norm, f"seed{seed}")


def run_label(recipe: Recipe, norm: str, seed: int) -> str:
    """What a run is called where several are shown."""
    return printable(" ".join((*recipe.series[1:], *reversed(recipe.place), norm, f"seed {seed}")))


def is_open(folder: Path, recipe: Recipe) -> bool:
    """Whether there is something to train: the run is neither finished nor diverged. See `run_status`."""
    return run_status(folder, recipe) not in ("finished", "diverged")


def run_status(folder: Path, recipe: Recipe) -> str | None:
    """``running`` (or interrupted), ``finished``, ``diverged``, or None for a run that never started.

    Raises:
        UserError: if the folder holds a run of another configuration: nothing is ever overwritten.
    """
    try:
        kept = yaml.safe_load((folder / CONFIG_FILE).read_text())
        status = json.loads((folder / RUN_FILE).read_text())["status"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} is damaged ({error}): delete it to train this run again") from error
    if not isinstance(kept, dict):
        raise UserError(f"{folder / 'config.yaml'} holds no recipe: delete {folder} to train this run again")
    asked = {name: value for name, value in dataclasses.asdict(recipe).items() if not name.startswith("full_")}
    defaults = {each.name: each.default for each in dataclasses.fields(recipe)}
    older = {name: defaults[name] for name in asked if name not in kept}  # a field that came after that run
    kept = older | kept
    differing = [name for name in asked if kept[name] != asked[name]]
    if differing:
        changes = ", ".join(f"{name} {kept[name]!r} there, {asked[name]!r} asked for" for name in differing)
        raise UserError(f"{folder} holds a run of another configuration ({changes}): choose another --out")
    return str(status)


def check_same_data(folder: Path, data: Callable[[], Mapping[str, Any] | None]) -> None:
    """Refuse to train, or to take as done, where this run or one that is compared with it has other data.

    Args:
        folder: of a run, begun or not.
        data: what ``run.json`` would say of its data now, asked only where there is something to compare it with; None
            where no data are at hand.

    Raises:
        UserError: saying which run has which data, and what is different.
    """
    given: Mapping[str, Any] | None = None
    for path in sorted(folder.parents[1].glob(f"*/seed*/{RUN_FILE}")):
        given = data() if given is None else given
        if given is None:
            return
        if differing := other_data(path.parent, given):
            raise UserError(
                f"{path.parent} was trained on other data ({differing}): name the same data with --data, or choose "
                "another --out for these"
            )


def other_data(folder: Path, given: Mapping[str, Any]) -> str:
    """What is different between the data that a run was trained on and those that are given, in words.

    Empty where nothing is, as far as both say it: an older run knows counts and classes alone, a damaged one nothing.
    """
    try:
        kept = json.loads((folder / RUN_FILE).read_text())["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    texts = []
    if kept.get("train") != given.get("train"):
        texts.append(f"{kept.get('train')} training pictures there, {given.get('train')} now")
    for key, what in (("classes", "the classes"), ("evaluation", "the evaluation sets")):
        if key in kept and key in given and kept[key] != given[key]:
            texts.append(f"{what} {_few(kept[key])} there, {_few(given[key])} now")
    if not texts:
        marks = {
            "fingerprint": "as many pictures, but not the same",
            "target_fingerprint": "other unlabelled pictures",
            "style_fingerprint": "another style picture",
        }
        texts += [text for key, text in marks.items() if kept.get(key) and given.get(key, kept[key]) != kept[key]]
    return "; ".join(texts)


def _few(names: Any) -> str:
    shown = [f"{name} ({count})" for name, count in names.items()] if isinstance(names, dict) else list(map(str, names))
    return printable(", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else ""))


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run's folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_FILE, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another process is training {folder}: wait for it, or choose another --out") from error
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot write to {folder} ({reason}): choose a folder that you may write to with --out"
        ) from error
    try:
        yield
    finally:
        lock.release()
