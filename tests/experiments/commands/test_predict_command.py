import json

import pytest
import saved_classifiers

from binorm.experiments.classifiers.files import save_classifier
from binorm.experiments.cli import main

CLASSES = ("<script>x</script>", "[red]dog[/]", "owl")


@pytest.fixture
def model(tmp_path):
    save_classifier(tmp_path / "model.safetensors", saved_classifiers.classifier(classes=CLASSES))
    return tmp_path / "model.safetensors"


@pytest.fixture
def photos(tmp_path):
    saved_classifiers.write_photographs(tmp_path / "photos", labelled=False, classes=("a", "b", "[bold]c"))
    (tmp_path / "photos/broken.png").write_bytes(b"nothing")
    return tmp_path / "photos"


def test_a_table_that_fits_and_the_broken_one_named(model, photos, capsys):
    assert main(["predict", str(model), str(photos)]) == 0
    output = capsys.readouterr()
    assert max(map(len, output.out.splitlines())) <= 80
    assert "[bold]c-0.jpg" in output.out
    assert "6 pictures; 1 broken" in output.out
    assert "left out: broken.png" in output.err


def test_json_on_standard_output_alone(model, photos, capsys):
    assert main(["predict", str(model), str(photos), "--json", "-", "--top", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"][0]["picture"] == "[bold]c-0.jpg"
    assert len(found["pictures"]) == 6
    for each in found["pictures"]:
        assert {guess["class"] for guess in each["guesses"]} == set(CLASSES)
        assert sum(guess["confidence"] for guess in each["guesses"]) == pytest.approx(1)
    assert found["accuracy"] is None
    assert found["broken"][0].startswith("broken.png")


def test_a_gallery_of_what_is_wrong_holds_no_markup_from_outside(tmp_path, capsys):
    names = ("cat", "dog", "owl")
    path, photos = tmp_path / "model.safetensors", tmp_path / "<i>photos"
    save_classifier(path, saved_classifiers.classifier(classes=names))
    saved_classifiers.write_photographs(photos, each=3, classes=names)
    assert main(["predict", str(path), str(photos), "--gallery", str(tmp_path / "a.html")]) == 0
    assert "top-1" in capsys.readouterr().out
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "&lt;i&gt;photos" in page
    assert "<i>" not in page
    found = json.loads(_json(path, photos, capsys))
    wrong = [each for each in found["pictures"] if each["guesses"][0]["class"] != each["true"]]
    assert page.count("data:image/jpeg;base64,") == len(wrong) > 0


def _json(model, photos, capsys):
    main(["predict", str(model), str(photos), "--json", "-"])
    return capsys.readouterr().out


def test_the_gallery_is_bounded_and_says_so(model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("binorm.experiments.report.predictions.MOST", 2)
    assert main(["predict", str(model), str(photos), "--gallery", str(tmp_path / "a.html")]) == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert "Shown are 2 of 6: those of which the network is least sure." in page
    assert "<script>" not in page


def test_nothing_to_say_is_an_error(model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for place, message in (("empty", "there are no pictures in"), ("absent", "absent")):
        assert main(["predict", str(model), str(tmp_path / place)]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
