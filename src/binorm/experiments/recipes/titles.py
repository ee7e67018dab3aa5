"""What was trained, in a line for people: a recipe's title, unless other data or another network was taken."""

from collections.abc import Mapping
from typing import Any

from binorm.experiments.recipes import task_of
from binorm.experiments.recipes.base import read_fields, recipe_names

OWN_PICTURES = ("folder", "domains")  # data sets that are whatever pictures lie at ``--data``
_TASKS = {
    "mixed": "one network for all domains",
    "adaptation": "adaptation between domains",
    "generalization": "each domain left out of training",
}


def data_name(name: object, source: object = "") -> str:
    """``"my_cameras (domains)"``: of pictures of one's own their place and then the name; else the name alone."""
    own = name in OWN_PICTURES and source
    return f"{source} ({name})" if own else str(name or "unknown data")


def title_of(fields: Mapping[str, Any], source: object = "", fallback: str = "") -> str:
    """The title of a recipe, or its data and network where these are not the recipe's own.

    They are not where the recipe of that name comes with the package and names another data set, network or task, or
    leaves open whose pictures it is for: ``"my_cameras (domains): resnet20, one network for all domains"``. A recipe
    of the user's own keeps its title.

    Args:
        fields: of the recipe that was trained.
        source: where the data came from, as a run's record says.
        fallback: the title of a recipe without one.
    """
    name = fields.get("name")
    title = str(fields.get("title") or fallback or name)
    if name not in recipe_names() or "dataset" not in fields:
        return title
    own = read_fields(str(name))[1]
    changed = any(fields.get(key) != own.get(key) for key in ("dataset", "model"))
    changed = changed or task_of(dict(fields)) != task_of(own)
    if not changed and not (fields["dataset"] in OWN_PICTURES and source):
        return title
    words = (fields.get("model", "unknown network"), _TASKS.get(task_of(dict(fields)), ""))
    return f"{data_name(fields['dataset'], source)}: {', '.join(filter(None, words))}"
