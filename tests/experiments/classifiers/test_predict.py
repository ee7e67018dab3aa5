import numpy
import pytest
import saved_classifiers
import torch
from PIL import Image

from binorm.experiments.classifiers.photographs import read_photographs, require_labels
from binorm.experiments.classifiers.predict import pixels_of, predict
from binorm.experiments.common.errors import UserError


@pytest.fixture(scope="module")
def classifier():
    return saved_classifiers.classifier()


def test_predictions_are_those_of_the_network_whatever_the_batch(classifier, tmp_path):
    names = saved_classifiers.write_photographs(tmp_path)
    photographs = read_photographs(tmp_path, classifier)
    with torch.no_grad():
        expected = classifier(classifier.preprocessing.normalize(photographs.pictures)).double().softmax(1)
    for batch_size in (1, 4, 100):
        found = predict(classifier, tmp_path, batch_size, top=3)
        assert [each.picture for each in found.pictures] == sorted(names)
        for each, row in zip(found.pictures, expected, strict=True):
            assert [guess.name for guess in each.guesses] == [
                classifier.classes[k] for k in row.argsort(descending=True)
            ]
            assert each.guesses[0].confidence == pytest.approx(row.max().item(), abs=1e-6)
            assert each.true == each.picture.partition("/")[0]
        assert found.accuracy() == pytest.approx((expected.argmax(1) == photographs.labels).double().mean().item())
        assert found.accuracy(3) == 1.0


def test_never_more_pictures_at_once_than_asked_for(classifier, tmp_path):
    saved_classifiers.write_photographs(tmp_path, each=3)
    seen = []
    handle = classifier.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    predict(classifier, tmp_path, batch_size=4)
    handle.remove()
    assert seen == [4, 4, 1]


def test_broken_pictures_are_named_and_end_nothing(classifier, tmp_path):
    saved_classifiers.write_photographs(tmp_path, labelled=False)
    (tmp_path / "cat-0.jpg").write_bytes(b"no picture")
    (tmp_path / "owl-1.jpg").write_bytes((tmp_path / "dog-0.jpg").read_bytes()[:300])
    (tmp_path / "notes.txt").write_text("nothing")
    found = predict(classifier, tmp_path, batch_size=2)
    assert [each.picture for each in found.pictures] == ["cat-1.jpg", "dog-0.jpg", "dog-1.jpg", "owl-0.jpg"]
    assert [sentence.split()[0] for sentence in found.broken] == ["cat-0.jpg", "owl-1.jpg"]
    assert found.accuracy() is None


def test_where_all_are_broken_there_is_an_error(classifier, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"none of the 1 picture in .* can be used, such as a\.jpg"):
        predict(classifier, tmp_path)


def test_a_place_without_pictures_is_an_error(classifier, tmp_path):
    for read in (predict, lambda made, path: read_photographs(path, made)):
        with pytest.raises(UserError, match="there are no pictures in"):
            read(classifier, tmp_path)


def test_one_picture_is_read_without_its_neighbours(classifier, tmp_path):
    saved_classifiers.write_photographs(tmp_path, labelled=False)
    found = predict(classifier, tmp_path / "dog-1.jpg")
    assert [each.picture for each in found.pictures] == ["dog-1.jpg"]
    assert torch.equal(
        pixels_of(classifier, found.source, ["dog-1.jpg"])["dog-1.jpg"],
        classifier.preprocessing.read((tmp_path / "dog-1.jpg").read_bytes()),
    )


def test_a_network_of_nan_has_no_predictions(tmp_path):
    broken = saved_classifiers.classifier()
    next(iter(broken.parameters())).data.fill_(float("nan"))
    saved_classifiers.write_photographs(tmp_path)
    with pytest.raises(UserError, match="outputs are not numbers"):
        predict(broken, tmp_path)


@pytest.mark.parametrize(("batch_size", "top"), [(0, 2), (4, 0)])
def test_numbers_below_one_are_refused(classifier, tmp_path, batch_size, top):
    with pytest.raises(UserError, match="at least 1"):
        predict(classifier, tmp_path, batch_size, top)


def test_photographs_spread_over_all_and_keep_their_labels(classifier, tmp_path):
    saved_classifiers.write_photographs(tmp_path, each=4)
    photographs = read_photographs(tmp_path, classifier, most=3)
    assert photographs.names == ("cat/0.jpg", "dog/0.jpg", "owl/0.jpg")
    assert require_labels(photographs, classifier).tolist() == [0, 1, 2]
    assert photographs.subset([2, 0]).labels.tolist() == [2, 0]


def test_folders_of_which_some_are_classes_are_refused(classifier, tmp_path):
    saved_classifiers.write_photographs(tmp_path, classes=("cat", "dgo"))
    with pytest.raises(UserError, match=r"'dgo', did you mean 'dog'\?"):
        read_photographs(tmp_path, classifier)


def test_labels_that_are_needed_and_not_there_are_asked_for(classifier, tmp_path):
    saved_classifiers.write_photographs(tmp_path, labelled=False)
    with pytest.raises(UserError, match=r"have no labels \(such as cat-0.jpg\)"):
        require_labels(read_photographs(tmp_path, classifier), classifier)


def test_pixels_are_what_the_preprocessing_says(classifier, tmp_path):
    Image.fromarray(numpy.full((40, 60, 3), (10, 20, 30), dtype=numpy.uint8)).save(tmp_path / "plain.png")
    photographs = read_photographs(tmp_path, classifier)
    assert photographs.pictures.shape == (1, 3, 16, 16)
    assert photographs.pictures[0, :, 8, 8].tolist() == [10, 20, 30]
