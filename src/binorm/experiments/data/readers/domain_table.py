"""The data sets whose domains are folders: what each is, and how its folders are called."""

from typing import Any

from binorm.experiments.data.entry import OWN_SPLIT
from binorm.experiments.data.readers.domain_folders import FolderSet


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


def _set(layout: str = "<domain>/<class>/ pictures", **facts: Any) -> FolderSet:
    splits = facts.get("listed") or "test" in facts.get("between", {}).values()
    return FolderSet(
        layout=layout,
        needs=f"the folder, zip or tar file with {layout}",
        split=f"as published where a copy has its lists or folders, else {OWN_SPLIT}" if splits else OWN_SPLIT,
        domains=tuple(facts["folders"]),
        **facts,
    )


_SETS = (
    _set(
        name="pacs",
        title="photographs, art paintings, cartoons and sketches of seven kinds of objects",
        pictures={"art_painting": 2_048, "cartoon": 2_344, "photo": 1_670, "sketch": 3_929},
        folders=_same("art_painting", "cartoon", "photo", "sketch"),
        classes=7,
        url="https://dali-dl.github.io/project_iccv2017.html",
        usual_names=("PACS", "PACS.zip", "pacs", "pacs.zip", "kfold"),
    ),
    _set(
        name="office-home",
        title="things of office and home as art, clip art, products and photographs",
        pictures={"art": 2_427, "clipart": 4_365, "product": 4_439, "real_world": 4_357},
        folders={**_same("art", "clipart", "product"), "real_world": ("real_world", "real")},
        classes=65,
        url="https://www.hemanthdv.org/officeHomeDataset.html",
        usual_names=(
            "OfficeHomeDataset_10072016",
            "OfficeHomeDataset_10072016.zip",
            "office_home",
            "office_home.zip",
            "office-home",
            "office-home.zip",
        ),
        licence="fair use notice: for non-commercial research and education",
    ),
    _set(
        name="office-31",
        title="office things in a shop's pictures, by a camera and by a webcam",
        pictures={"amazon": 2_817, "dslr": 498, "webcam": 795},
        folders=_same("amazon", "dslr", "webcam"),
        classes=31,
        url="https://faculty.cc.gatech.edu/~judy/domainadapt/",
        usual_names=(
            "domain_adaptation_images",
            "domain_adaptation_images.tar.gz",
            "office31",
            "office31.zip",
            "office-31",
            "office-31.zip",
        ),
        between={"images": "all"},
    ),
    _set(
        name="vlcs",
        title="five kinds of objects from Caltech-101, LabelMe, PASCAL VOC 2007 and SUN09",
        pictures={"caltech": 1_415, "labelme": 2_656, "pascal": 3_376, "sun": 3_282},
        folders={
            "caltech": ("caltech", "caltech101"),
            "labelme": ("labelme",),
            "pascal": ("pascal", "voc2007"),
            "sun": ("sun", "sun09"),
        },
        classes=5,
        url="http://www.mediafire.com/file/7yv132lgn1v267r/vlcs.tar.gz/file",
        usual_names=("VLCS", "VLCS.tar.gz", "vlcs.tar.gz", "VLCS.zip", "vlcs", "vlcs.zip"),
        numbered=("bird", "car", "chair", "dog", "person"),
        layout="<domain>/full/<class>/ and <domain>/test/<class>/ pictures, or <domain>/<class>/ pictures",
        between={"full": "train", "test": "test", "train": "", "crossval": ""},  # full is train and crossval
    ),
    _set(
        name="domainnet",
        title="345 kinds of things in six styles",
        pictures={
            "clipart": 48_129,
            "infograph": 51_605,
            "painting": 72_266,
            "quickdraw": 172_500,
            "real": 172_947,
            "sketch": 69_128,
        },
        folders=_same("clipart", "infograph", "painting", "quickdraw", "real", "sketch"),
        classes=345,
        url="http://ai.bu.edu/M3SDA/",
        usual_names=("domainnet", "domain_net", "DomainNet", "domainnet.zip"),
        licence="fair use notice: for non-commercial research and education",
        layout="<domain>/<class>/ pictures, and the published <domain>_train.txt and <domain>_test.txt",
        size=64,
        listed=True,
    ),
    _set(
        name="domains",
        title="any pictures of your own in several domains",
        pictures={},
        folders={},
        classes=0,
        url="",
        usual_names=("domains", "domains.zip"),
    ),
)

FOLDER_SETS: dict[str, FolderSet] = {each.name: each for each in _SETS}
