import pytest
from character_trees import write_picture
from domain_trees import PACS, packed, write_domains, write_split_lists

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.domain_folders import FOLDER_SETS
from binorm.experiments.data.readers.domain_layout import find_domains
from binorm.experiments.data.trees.file_tree import open_tree
from binorm.experiments.data.trees.splits import UNSPLIT

OFFICE_HOME = ("Art", "Clipart", "Product", "Real World")
DOMAINNET = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
LAYOUTS = [
    ("pacs", PACS, "{domain}/{kind}"),
    ("pacs", PACS, "PACS/{domain}/{kind}"),
    ("pacs", PACS, "PACS/kfold/{domain}/{kind}"),
    ("pacs", PACS, "some/where/pacs/{domain}/{kind}/more"),
    ("office-home", OFFICE_HOME, "OfficeHomeDataset_10072016/{domain}/{kind}"),
    ("office-home", (*OFFICE_HOME[:3], "RealWorld"), "office_home/{domain}/{kind}"),
    ("office-home", (*OFFICE_HOME[:3], "Real_World"), "{domain}/{kind}"),
    ("office-home", ("art", "clipart", "product", "Real"), "{domain}/{kind}"),
    ("office-31", ("amazon", "dslr", "webcam"), "domain_adaptation_images/{domain}/images/{kind}"),
    ("office-31", ("amazon", "dslr", "webcam"), "{domain}/{kind}"),
    ("vlcs", ("Caltech101", "LabelMe", "VOC2007", "SUN09"), "VLCS/{domain}/{kind}"),
    ("vlcs", ("CALTECH", "LABELME", "PASCAL", "SUN"), "VLCS/{domain}/{kind}"),
    ("domainnet", DOMAINNET, "{domain}/{kind}"),
]


def _find(path, name):
    with open_tree(path) as tree:
        return find_domains(tree, FOLDER_SETS[name]).domains


@pytest.mark.parametrize(
    ("name", "domains", "layout", "kind"),
    [(*layout, kind) for layout in LAYOUTS for kind in ("folder", "zip")] + [(*LAYOUTS[8], "tar")],
)
def test_published_layouts_are_found_packed_and_unpacked(tmp_path, name, domains, layout, kind):
    write_domains(tmp_path / "data", domains, per_class=2, layout=layout)
    found = _find(packed(tmp_path / "data", kind), name)
    assert tuple(found) == tuple(FOLDER_SETS[name].folders)
    for domain, folder in zip(found.values(), domains, strict=True):
        assert domain.classes == ("dog", "house")
        assert len(domain) == 4
        assert all(f"{folder}/" in file for file in domain.names)
        assert [(file.split("/")[-1], label) for file, label in domain.files[UNSPLIT]] == [
            ("001.png", 0),
            ("002.png", 0),
            ("001.png", 1),
            ("002.png", 1),
        ]


def test_vlcs_has_the_published_split_in_full_and_test_and_numbers_for_classes(tmp_path):
    for part, count in (("full", 3), ("test", 2), ("train", 2), ("crossval", 1)):
        write_domains(tmp_path, ("CALTECH", "SUN"), "034", count, layout=f"VLCS/{{domain}}/{part}/{{kind}}")
    found = _find(tmp_path, "vlcs")
    assert list(found) == ["caltech", "sun"]
    assert found["sun"].classes == ("bird", "dog", "person")
    assert {split: len(files) for split, files in found["sun"].files.items()} == {"train": 9, "test": 6}
    assert found["sun"].files["test"][0] == ("VLCS/SUN/test/0/001.png", 0)


def test_half_of_vlcs_s_split_is_an_error(tmp_path):
    write_domains(tmp_path, ("SUN",), "01", 2, layout="VLCS/{domain}/test/{kind}")
    with pytest.raises(UserError, match="sun in .* in folders of test alone, .*: expected <domain>/full/<class>/ and"):
        _find(tmp_path, "vlcs")


def test_domainnet_has_the_published_split_in_lists(tmp_path):
    write_domains(tmp_path, ("clipart", "real"), per_class=5)
    write_picture(tmp_path / "clipart" / "unlisted" / "001.png", 0)
    for domain in ("clipart", "real"):
        write_split_lists(tmp_path, domain)
    (tmp_path / "clipart_train.txt").write_text(
        "\n".join(line for line in (tmp_path / "clipart_train.txt").read_text().splitlines() if "unlisted" not in line)
    )
    found = _find(packed(tmp_path, "folder"), "domainnet")["clipart"]
    assert found.classes == ("dog", "house")
    assert found.files["test"] == [("clipart/dog/005.png", 0), ("clipart/house/005.png", 1)]
    assert len(found.files["train"]) == 8


def test_split_lists_come_in_pairs(tmp_path):
    write_domains(tmp_path, ("clipart",))
    write_split_lists(tmp_path, "clipart")
    (tmp_path / "clipart_test.txt").unlink()
    with pytest.raises(UserError, match=r"has clipart_train\.txt without clipart_test\.txt: put it beside"):
        _find(tmp_path, "domainnet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clipart/dog/999.png 0\nclipart/dog/001.png 0\n", "lists 2 pictures, of which 1 are not there, .*dog/999.png"),
        ("nonsense\n", r"1 are not there, such as ''.*expected lines such as"),
        ("\n", "lists no pictures"),
    ],
)
def test_damaged_split_lists_are_named(tmp_path, text, message):
    write_domains(tmp_path, ("clipart",))
    write_split_lists(tmp_path, "clipart")
    (tmp_path / "clipart_test.txt").write_text(text)
    with pytest.raises(UserError, match=f"clipart_test.txt in .*{message}"):
        _find(tmp_path, "domainnet")


def test_the_folder_with_most_domains_wins_over_others_of_their_names(tmp_path):
    write_domains(tmp_path, layout="photo/{domain}/{kind}", per_class=1)
    assert {domain: files.names[0].rsplit("/", 2)[0] for domain, files in _find(tmp_path, "pacs").items()} == {
        domain: f"photo/{domain}" for domain in PACS
    }


def test_own_domains_are_found_below_what_all_pictures_share(tmp_path):
    write_domains(tmp_path, {"summer": ("oak", "pine"), "winter": ("oak",)}, layout="my/trees/{domain}/{kind}")
    (tmp_path / "my" / "notes.txt").write_text("pictures of trees")
    (tmp_path / "my" / "trees" / ".hidden").mkdir()
    found = _find(tmp_path, "domains")
    assert {name: domain.classes for name, domain in found.items()} == {"summer": ("oak", "pine"), "winter": ("oak",)}
    assert found["winter"].names[0] == "my/trees/winter/oak/001.png"


@pytest.mark.parametrize("layout", ["{domain}/{kind}", "data/{domain}/{kind}"])
def test_a_single_own_domain_is_named(tmp_path, layout):
    write_domains(tmp_path, ("photo",), layout=layout)
    with pytest.raises(UserError, match="photo is a single domain, with the classes dog, house: expected <domain>/<cl"):
        _find(tmp_path, "domains")


def test_a_picture_beside_the_own_domains_is_named(tmp_path):
    write_domains(tmp_path, layout="data/{domain}/{kind}")
    write_picture(tmp_path / "data" / "cover.png", 0)
    with pytest.raises(UserError, match=r"data/cover\.png in .* lies in no domain: expected <domain>/<cl"):
        _find(tmp_path, "domains")


@pytest.mark.parametrize(("name", "layout"), [("pacs", "PACS/{domain}/{kind}"), ("domains", "{domain}/{kind}")])
def test_a_picture_in_a_domain_but_no_class_is_named(tmp_path, name, layout):
    write_domains(tmp_path, layout=layout)
    write_picture(next(tmp_path.rglob("photo")) / "stray.png", 0)
    with pytest.raises(
        UserError, match=r"photo/stray\.png in .* the domain photo, but to no class: expected .*<class>/"
    ):
        _find(tmp_path, name)


@pytest.mark.parametrize("content", ["", "read me"])
def test_an_own_domain_without_pictures_is_named(tmp_path, content):
    write_domains(tmp_path, layout="data/{domain}/{kind}")
    (tmp_path / "data" / "water").mkdir()
    if content:
        (tmp_path / "data" / "water" / "readme.txt").write_text(content)
    with pytest.raises(UserError, match="the domain data/water in .* has no pictures"):
        _find(tmp_path, "domains")


def test_other_pictures_are_no_domains(tmp_path):
    write_domains(tmp_path, ("a", "b"))
    with pytest.raises(UserError, match="no folder in .* is a domain of pacs: .* art_painting, cartoon, photo, sketch"):
        _find(tmp_path, "pacs")


def test_no_pictures_are_an_error(tmp_path):
    (tmp_path / "photo" / "dog").mkdir(parents=True)
    with pytest.raises(UserError, match="no pictures in .* where they are expected: <domain>/<class>/<picture>"):
        _find(tmp_path, "pacs")
