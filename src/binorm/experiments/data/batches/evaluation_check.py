"""Whether every picture of an evaluation set that stays encoded can be decoded: known before hours of training."""

from contextlib import closing, suppress

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.common.threads import in_threads
from binorm.experiments.data.batches.transforms import CentreCrop
from binorm.experiments.data.dataset import Dataset, EncodedImage, EncodedSet, ImageSet
from binorm.experiments.data.processes import default_threads
from binorm.experiments.data.readers.cache import VERSION, cache_folder

SIZE = 16  # pixels that a picture is decoded to: JPEGs are read to their end, at an eighth of their size
AHEAD = 256
NAMED = 5


def check_evaluation_pictures(dataset: Dataset) -> None:
    """Decode every picture of the evaluation sets that stay encoded, once for each copy of the data.

    Raises:
        UserError: naming pictures that cannot be decoded.
    """
    for name, images in dataset.evaluation.items():
        if not isinstance(images, ImageSet):
            _check(dataset, name, images)


def _check(dataset: Dataset, name: str, images: EncodedSet) -> None:
    mark = cache_folder() / f"{dataset.name}-decoded-{images.fingerprint}-{VERSION}"
    if mark.exists():
        return
    transform = CentreCrop(SIZE, SIZE)

    def fault(picture: EncodedImage) -> str:
        try:
            transform(picture.read())
        except BrokenImageError as error:
            return f"{picture.name} ({error})"
        return ""

    with closing(in_threads(fault, images.pictures(None), default_threads(), AHEAD)) as faults:
        broken = [each for each in faults if each]
    if broken:
        more = f" and {len(broken) - NAMED:,} more" if len(broken) > NAMED else ""
        raise UserError(
            f"{len(broken):,} of the {len(images):,} pictures of {name} in {dataset.source} are broken: "
            f"{'; '.join(broken[:NAMED])}{more}. Evaluation needs every picture, so replace them"
        )
    with suppress(UserError):  # where nothing can be kept, it is found out anew
        write_text_atomically(mark, "")
