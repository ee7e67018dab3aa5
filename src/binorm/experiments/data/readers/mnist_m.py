"""MNIST-M: MNIST's digits blended with patches of photographs, as Ganin et al. define it.

For a digit d, a patch p of a photograph of BSDS500 and each colour channel k

    out_ijk = |p_ijk - d_ij|

(Ganin et al., *Domain-Adversarial Training of Neural Networks*, JMLR 2016, section 5.2.4). The digits keep their grey
levels. The paper does not say which photographs; recreations take the 200 of the train split for training and test
digits alike, and so does this.

Which patch a digit gets is drawn from a fixed seed for each split, so the same photographs and digits give the same
pictures everywhere: for each digit in its order three 64-bit numbers of PCG64, whose stream NumPy promises never to
change, modulo the count of photographs (in the order of their file names), of rows and of columns that a patch can
begin at.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy

from binorm.experiments.common.decoding import in_rgb
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError, open_image
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.trees.file_tree import FileTree

SIDE = 28
SEEDS = {"train": 0, "test": 1}
PARENTS = ("images", "bsds500")  # of the folder train: as published, and where the pictures alone were packed


def blend(digits: numpy.ndarray, photographs: Sequence[numpy.ndarray], seed: int) -> numpy.ndarray:
    """The digits of one split over patches of photographs.

    Args:
        digits: uint8, (N, 28, 28).
        photographs: uint8, (H, W, 3) each, none smaller than a digit.
        seed: one of `SEEDS`.

    Returns:
        uint8, (N, 28, 28, 3).
    """
    draws = numpy.random.PCG64(seed).random_raw(3 * len(digits)).reshape(-1, 3).tolist()
    pictures = numpy.empty((*digits.shape, 3), dtype=numpy.uint8)
    for picture, digit, (number, row, column) in zip(pictures, digits, draws, strict=True):
        photograph = photographs[number % len(photographs)]
        top, left = row % (photograph.shape[0] - SIDE + 1), column % (photograph.shape[1] - SIDE + 1)
        patch = photograph[top : top + SIDE, left : left + SIDE].astype(numpy.int16)
        picture[:] = numpy.abs(patch - digit[..., None])
    return pictures


def read_photographs(tree: FileTree) -> list[numpy.ndarray]:
    """The photographs of BSDS500's train split, ``{images,bsds500}/train/*.jpg``, in the order of their file names.

    Raises:
        UserError: if there are none, or one is broken or smaller than a digit.
    """
    places = sorted((PurePosixPath(name) for name in tree.names if is_picture(name)), key=lambda place: place.name)
    names = [
        str(place) for place in places if place.parent.name == "train" and place.parents[1].name.lower() in PARENTS
    ]
    if not names:
        raise UserError(
            f"the photographs of BSDS500 are not in {tree.path}: expected BSDS500/data/images/train/*.jpg or "
            "photos/bsds500/train/*.jpg"
        )
    return [_read(tree, name) for name in names]


def _read(tree: FileTree, name: str) -> numpy.ndarray:
    try:
        with open_image(tree.read(name)) as picture:
            pixels = numpy.asarray(in_rgb(picture))
    except BrokenImageError as error:
        raise UserError(
            f"{name} in {tree.path} is broken ({error}): MNIST-M is made of all photographs, so replace it"
        ) from error
    if min(pixels.shape[:2]) < SIDE:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise UserError(f"{name} in {tree.path} is {size} pixels, smaller than a digit of {SIDE}x{SIDE}: replace it")
    return pixels
