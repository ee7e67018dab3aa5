import pytest

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes import KINDS, load_recipe, recipe_class, stored_recipe
from binorm.experiments.recipes.base import field_help, field_names, recipe_names
from binorm.experiments.recipes.classification import ClassificationRecipe
from binorm.experiments.recipes.stylization import StylizationRecipe


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "style"])
def test_shipped_recipes_load_and_name_known_things(name):
    from binorm.experiments.data import DATASETS
    from binorm.experiments.models import check_name
    from binorm.experiments.training.methods import METHODS

    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.dataset in DATASETS
    check_name(recipe.model)
    assert recipe.task in KINDS
    assert getattr(recipe, "method", "") in METHODS or recipe.task in ("classification", "mixed")
    assert recipe.dropout == 0 or recipe.model == "wrn28_10"


@pytest.mark.parametrize(
    ("name", "epochs", "milestones", "decay", "weight_decay", "batch"),
    [
        ("cifar100-alexnet", 164, [81, 122], 0.1, 5e-4, 128),
        ("cifar100-resnet164", 164, [81, 122], 0.1, 1e-4, 128),
        ("cifar100-preresnet110", 164, [81, 122], 0.1, 1e-4, 128),
        ("cifar100-wrn28_10", 200, [60, 120, 160], 0.2, 5e-4, 128),
        ("cifar100-resnext29_8x64d", 300, [150, 225], 0.1, 5e-4, 128),
        ("cifar100-densenet_bc100_12", 300, [150, 225], 0.1, 1e-4, 64),
        ("imagenet-resnet18", 90, [31, 61], 0.1, 1e-4, 256),
    ],
)
def test_schedules_are_those_of_the_code_base_that_the_authors_started_from(
    name, epochs, milestones, decay, weight_decay, batch
):
    recipe = load_recipe(name)
    assert (recipe.epochs, recipe.milestones, recipe.lr_decay) == (epochs, milestones, decay)
    assert (recipe.weight_decay, recipe.batch_size, recipe.lr) == (weight_decay, batch, 0.1)


def test_cifar_recipe_is_the_authors():
    recipe = load_recipe("cifar10-resnet20")
    assert (recipe.epochs, recipe.batch_size, recipe.lr) == (164, 128, 0.1)
    assert (recipe.momentum, recipe.weight_decay, recipe.gate_lr_scale) == (0.9, 1e-4, 10)
    assert [recipe.lr * recipe.lr_factor(epoch) for epoch in (0, 80.9, 81, 121.9, 122, 163)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_fewer_epochs_shrink_the_whole_schedule_and_keep_its_full_length():
    recipe = load_recipe("cifar10-resnet20", {"epochs": 4})
    assert (recipe.epochs, recipe.full_epochs) == (4, 164)
    assert recipe.milestones == pytest.approx([4 * 81 / 164, 4 * 122 / 164])


def test_own_milestones_stay_as_they_are():
    assert load_recipe("cifar10-resnet20", {"epochs": 4, "milestones": [3.0]}).milestones == [3.0]


def test_cosine_goes_from_one_to_zero():
    recipe = load_recipe("digits")
    factors = [recipe.lr_factor(epoch) for epoch in (0, recipe.epochs / 2, recipe.epochs, recipe.epochs + 1)]
    assert factors == pytest.approx([1, 0.5, 0, 0])


def test_the_triangle_rises_from_a_fifth_to_one_and_falls_to_zero():
    recipe = load_recipe("cifar10-fast", {"epochs": 10, "peak": 0.4})
    factors = [recipe.lr_factor(epoch) for epoch in (0, 2, 4, 7, 10, 11)]
    assert factors == pytest.approx([0.2, 0.6, 1, 0.5, 0, 0])


@pytest.mark.parametrize("name", ["peak", "label_smoothing"])
def test_shares_are_below_one(name):
    with pytest.raises(UserError, match=f"{name} is a share and should be below 1 .got 1.0."):
        load_recipe("cifar10-fast", {name: 1.0})


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(UserError, match="nesterov needs a momentum above 0"):
        load_recipe("cifar10-fast", {"momentum": 0.0})


def test_own_recipe_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("title: mine\ndataset: digits\nmodel: resnet8\nepochs: 2\n")
    assert load_recipe(str(path)) == ClassificationRecipe(
        name="mine", title="mine", dataset="digits", model="resnet8", epochs=2
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: a\ndataset: digits\nmodel: resnet8\nbatchsize: 3\n", "'batchsize', did you mean 'batch_size'"),
        ("title: a\ndataset: digits\nmodel: resnet8\nepochs: many\n", "epochs"),
        ("title: a\ndataset: digits\nmodel: resnet8\nepochs: 0\n", "epochs should be at least 1"),
        ("title: a\ndataset: digits\nmodel: resnet8\nepochs: 2\nlr: .nan\n", "lr should be at least 0"),
        ("title: a\ndataset: digits\nepochs: 2\n", "model"),
        ("title: a\ndataset: digits\nmodel: resnet8\nepochs: 2\non: true\n", "unknown field .*'True'"),
        ("- a\n- list\n", "should hold the fields"),
        ("title: [\n", "not valid YAML"),
    ],
)
def test_wrong_recipe_files_are_errors_that_name_the_field(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_recipe(str(path))


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(UserError, match="unknown recipe 'cifar10-resnet2', did you mean 'cifar10-resnet20'"):
        load_recipe("cifar10-resnet2")


def test_absent_recipe_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the recipe .*no\.yaml"):
        load_recipe(str(tmp_path / "no.yaml"))


@pytest.mark.parametrize("task", KINDS)
def test_every_field_is_documented(task):
    kind = recipe_class(task)
    assert list(field_help(kind)) == list(field_names(kind))


def test_a_recipe_has_a_base_and_changes_what_it_names(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: digits\ntitle: mine\nepochs: 2\n")
    mine, digits = load_recipe(str(tmp_path / "mine.yaml")), load_recipe("digits")
    assert (mine.name, mine.title, mine.epochs, mine.crop_padding) == ("mine", "mine", 2, digits.crop_padding)
    (tmp_path / "circle.yaml").write_text(f"base: {tmp_path / 'circle.yaml'}\n")
    with pytest.raises(UserError, match="circle.yaml is its own base"):
        load_recipe(str(tmp_path / "circle.yaml"))


def test_a_field_of_another_kind_is_named_with_the_tasks_that_have_it():
    with pytest.raises(UserError, match="method applies to recipes of mixed, adaptation, generalization only"):
        load_recipe("digits", {"method": "dann"})


def test_a_stored_recipe_may_hold_fields_that_its_kind_had_once():
    fields = {"name": "a", "title": "a", "dataset": "digits", "model": "resnet8", "epochs": 2, "source": "", "steps": 0}
    assert stored_recipe(fields, "a run") == ClassificationRecipe(
        name="a", title="a", dataset="digits", model="resnet8", epochs=2
    )
    with pytest.raises(UserError, match="a run: epochs should be a whole number"):
        stored_recipe(fields | {"epochs": "many"}, "a run")


def test_other_steps_an_epoch_leave_those_of_the_recipe_to_be_told():
    fields = {"source": "photo", "target": "sketch"}
    given = load_recipe("pacs-dann", fields | {"steps": 20})
    assert (given.steps, given.full_steps, load_recipe("pacs-dann", fields).full_steps) == (20, 50, 50)
    assert load_recipe("pacs-mixed-efficientnet", {"steps": 20}).full_steps == 0  # one pass over the pictures


def test_steps_of_a_style_leave_the_full_length_as_it_is():
    recipe = load_recipe("style", {"style": "a.jpg", "steps": 200})
    assert isinstance(recipe, StylizationRecipe)
    assert (recipe.steps, recipe.full_steps, recipe.num_epochs, recipe.style_name) == (200, 40000, 2, "a")
    assert recipe.series == ("style", "a")
