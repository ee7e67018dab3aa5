import dataclasses

import pytest
import torch
from tiny_classifiers import CLASSES, classifier, photographs

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue import robustness
from binorm.experiments.rescue.candidates import Subject
from binorm.experiments.rescue.methods import METHODS, Adapted, Method
from binorm.experiments.rescue.plan import Plan, parse_severities
from binorm.experiments.rescue.regimes import REGIMES
from binorm.experiments.rescue.robustness import measure
from binorm.experiments.rescue.robustness_folder import CLEAN, Case, read_answers, read_labels
from binorm.experiments.shifts.catalog import SHIFTS

CLEAN_CASE = Case(CLEAN, 0)


def restyle(pictures, generator):
    return 255 - pictures


def plan(**changes):
    subject = Subject("tiny", classifier(), photographs(12), photographs(8, seed=1))
    usual = {
        "subjects": [subject],
        "methods": [METHODS["none"]],
        "seeds": 1,
        "calibration_pictures": 8,
        "shifts": [SHIFTS["dark"], SHIFTS["warm"]],
        "severities": [],
        "regime": REGIMES["stream"],
        "batch": 5,
        "restyle": restyle,
        "precision": "float32",
    }
    return Plan(**(usual | changes))


def measured(folder, given):
    measure(given, folder, "binorm test", lambda text: None)
    ids = [each.id for each in given.candidates]
    return {case: read_answers(folder, case, ids) for case in given.cases}


def tensors(answers):
    """Bytes, by case and name."""
    return {
        (case, name, key): tensor.numpy().tobytes()
        for case, each in answers.items()
        for name, group in (("predicted", each.predicted), ("confidence", each.confidence), ("", {"": each.severity}))
        for key, tensor in group.items()
    }


class Spy(Adapted):
    """Writes down what it is called with, and says that all is of the first class."""

    def __init__(self, network, log):
        super().__init__(network)
        self.log = log

    def __call__(self, batch):
        self.log.append(batch)
        return torch.tensor([1.0, 0.0, 0.0]).expand(len(batch), 3)

    def reset(self):
        self.log.append("reset")


def spy(log, batch=True):
    return Method("spy", "Spy", "", "", batch, False, lambda network, calibration: Spy(network, log))


def test_answers_on_clean_pictures_are_the_classifier_s(tmp_path):
    given = plan()
    answers = measured(tmp_path, given)[CLEAN_CASE]
    subject = given.subjects[0]
    logits = subject.classifier(subject.classifier.preprocessing.normalize(subject.test.pictures))
    confidence, predicted = logits.softmax(1).max(1)
    assert torch.equal(answers.predicted["tiny:none"], predicted)
    torch.testing.assert_close(answers.confidence["tiny:none"], confidence.detach(), rtol=1e-5, atol=1e-6)
    assert torch.equal(read_labels(tmp_path), torch.arange(12) % 3)


def test_all_candidates_get_the_same_pictures(tmp_path):
    log, other = [], []
    given = plan(methods=[spy(log), dataclasses.replace(spy(other), name="other")])
    measured(tmp_path, given)
    seen, too = ([each for each in each if isinstance(each, torch.Tensor)] for each in (log, other))
    assert len(seen) == 9  # three batches of three cases
    assert torch.equal(torch.cat(seen), torch.cat(too))


def test_subjects_of_other_pixels_get_their_own(tmp_path):
    large = Subject("large", classifier(side=40), photographs(12, 40))
    answers = measured(tmp_path, plan(subjects=[plan().subjects[0], large]))
    assert set(answers[CLEAN_CASE].predicted) == {"tiny:none", "large:none"}


def test_a_killed_measurement_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    given = plan(methods=[METHODS[name] for name in ("none", "calibrated", "tent")], seeds=2)
    whole = tensors(measured(tmp_path / "whole", given))
    write, written = robustness.write_answers, []

    def killed(folder, case, *rest):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(case)
        write(folder, case, *rest)

    monkeypatch.setattr(robustness, "write_answers", killed)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path / "cut", given)
    monkeypatch.setattr(robustness, "write_answers", write)
    kept = (tmp_path / "cut/results/dark-turns.safetensors").stat().st_mtime_ns
    assert tensors(measured(tmp_path / "cut", given)) == whole
    assert (tmp_path / "cut/results/dark-turns.safetensors").stat().st_mtime_ns == kept


def test_a_damaged_file_is_measured_again_and_a_whole_folder_is_left_alone(tmp_path, monkeypatch):
    first = tensors(measured(tmp_path, plan()))
    (tmp_path / "results/dark-turns.safetensors").write_bytes(b"x")
    assert tensors(measured(tmp_path, plan())) == first
    monkeypatch.setattr(robustness, "prepare", lambda *_: pytest.fail("measured again"))
    measured(tmp_path, plan())


def test_shifts_can_be_added_and_change_nothing(tmp_path):
    both = tensors(measured(tmp_path / "both", plan()))
    measured(tmp_path / "later", plan(shifts=[SHIFTS["warm"]]))
    assert tensors(measured(tmp_path / "later", plan())) == both


def other_weights():
    return [Subject("tiny", classifier(seed=1), photographs(12), photographs(8, seed=1))]


def other_pictures():
    return [Subject("tiny", classifier(), photographs(12, seed=5), photographs(8, seed=1))]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda: {"regime": REGIMES["label-sorted"]}, "regime: stream there, label-sorted asked for"),
        (lambda: {"batch": 4}, "batch: 5 there, 4 asked for"),
        (lambda: {"severities": [1, 5]}, "severities: turns there, 1, 5 asked for"),
        (lambda: {"precision": "bfloat16"}, "precision: float32 there, bfloat16 asked for"),
        (lambda: {"methods": [METHODS["tent"]]}, "candidates: tiny:none there, tiny:tent asked for"),
        (lambda: {"subjects": other_weights()}, "models: tiny "),
        (lambda: {"subjects": other_pictures()}, "test pictures: 12 "),
    ],
)
def test_another_setting_in_the_same_folder_is_refused_by_name(tmp_path, changes, message):
    measured(tmp_path, plan(shifts=[]))
    with pytest.raises(UserError, match="another setting") as error:
        measured(tmp_path, plan(shifts=[], **changes()))
    assert message in str(error.value)
    assert "choose another --out" in str(error.value)


def test_seeds_calibrate_with_other_pictures_and_are_told_apart(tmp_path):
    given = plan(methods=[METHODS["none"], METHODS["calibrated"]], seeds=2, calibration_pictures=4, shifts=[])
    answers = measured(tmp_path, given)[CLEAN_CASE]
    assert list(answers.confidence) == ["tiny:none", "tiny:calibrated:0", "tiny:calibrated:1"]
    first, second = (answers.confidence[f"tiny:calibrated:{seed}"] for seed in (0, 1))
    assert not torch.equal(first, second)


def test_turns_give_every_severity_to_as_many_pictures(tmp_path):
    answers = measured(tmp_path, plan())
    for shift in ("dark", "warm"):
        counts = answers[Case(shift, None)].severity.bincount(minlength=6).tolist()
        assert sorted(counts) == [0, 2, 2, 2, 3, 3]
    assert not torch.equal(answers[Case("dark", None)].severity, answers[Case("warm", None)].severity)
    severe = measured(tmp_path / "five", plan(severities=[5]))
    assert severe[Case("dark", 5)].severity.tolist() == [5] * 12


def shown(regime, batch, matters=True):
    """A plan of clean pictures alone, and the log of what comes to its one method."""
    log = []
    given = plan(methods=[spy(log, matters)], regime=REGIMES[regime], batch=batch, shifts=[])
    return given, log


@pytest.mark.parametrize(
    ("regime", "batch", "expected"),
    [
        ("stream", 5, ["reset", 5, 5, 2]),
        ("label-sorted", 12, ["reset", 12]),
        ("single", 1, ["reset", *[1, "reset"] * 12]),
        ("offline", 5, ["reset", 5, 5, 2, 5, 5, 2]),
    ],
)
def test_a_regime_decides_on_batches_and_on_what_is_forgotten(tmp_path, regime, batch, expected):
    given, log = shown(regime, batch)
    measured(tmp_path, given)
    assert [each if each == "reset" else len(each) for each in log] == expected


def test_batches_are_not_cut_where_pictures_are_taken_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(robustness, "_SHIFTED_AT_ONCE", 7)
    monkeypatch.setattr(robustness, "_NORMALIZED_AT_ONCE", 3)
    given, log = shown("stream", 5)
    measured(tmp_path, given)
    assert [each if each == "reset" else len(each) for each in log] == ["reset", 5, 5, 2]


def test_methods_that_need_no_batch_are_asked_in_large_ones(tmp_path):
    given, log = shown("stream", 1, matters=False)
    measured(tmp_path, given)
    assert [len(each) for each in log[1:]] == [12]


def test_orders_are_by_chance_or_by_label():
    labels = torch.arange(60) % 3
    assert REGIMES["label-sorted"].order(labels).tolist() != labels.argsort(stable=True).tolist()
    assert labels[REGIMES["label-sorted"].order(labels)].tolist() == labels.sort().values.tolist()
    shuffled = labels[REGIMES["stream"].order(labels)]
    assert shuffled.diff().ne(0).sum() > 20


def test_alone_a_picture_is_answered_whatever_came_before(tmp_path):
    given = plan(methods=[METHODS["tent"]], regime=REGIMES["single"], batch=1, shifts=[])
    few = [dataclasses.replace(given.subjects[0], test=given.subjects[0].test.subset([7, 2, 5]))]
    all_of, some = (measured(tmp_path / name, each)[CLEAN_CASE].confidence["tiny:tent"]
                    for name, each in (("all", given), ("few", dataclasses.replace(given, subjects=few))))  # fmt: skip
    assert torch.equal(all_of[[7, 2, 5]], some)


def test_answers_that_are_no_numbers_are_no_class(tmp_path):
    broken = classifier()
    next(broken.network.parameters()).data.fill_(torch.nan)
    answers = measured(tmp_path, plan(subjects=[Subject("tiny", broken, photographs(6))], shifts=[]))[CLEAN_CASE]
    assert answers.predicted["tiny:none"].tolist() == [-1] * 6


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        (lambda: [Subject("a", classifier(side=16), photographs(6, 16))], "a takes pictures of 16 pixels"),
        (lambda: [Subject("a", classifier(), photographs(1))], "1 test picture in here"),
        (
            lambda: [
                Subject("a", classifier(), photographs(6)),
                Subject("b", classifier(classes=("x", *CLASSES)), photographs(6)),
            ],
            "b has other classes than a",
        ),
    ],
)
def test_what_cannot_be_measured_is_told_before_any_work(tmp_path, subjects, message):
    with pytest.raises(UserError, match=message):
        measured(tmp_path / "out", plan(subjects=subjects()))
    assert not (tmp_path / "out").exists()


def test_a_network_without_batch_norm_is_refused(tmp_path):
    subject = Subject("gn", classifier("gn"), photographs(6), photographs(8, seed=1))
    with pytest.raises(UserError, match="expected a network with batch norm"):
        measured(tmp_path, plan(subjects=[subject], methods=[METHODS["calibrated"]]))


def test_severities_are_turns_all_or_some():
    assert parse_severities("turns") == []
    assert parse_severities("all") == [1, 2, 3, 4, 5]
    assert parse_severities("5,1,3,1") == [1, 3, 5]
    for text in ("", "0", "6", "1,", "one", "1;2"):
        with pytest.raises(UserError, match="severities should be"):
            parse_severities(text)
