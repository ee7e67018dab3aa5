"""Windows Media (ASF): objects of a stated size."""

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
ENCRYPTIONS = {bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"), bytes.fromhex("14e68a292226174cb935dae07ee9289c")}
MOST_OBJECTS = 10_000
HEADER_FIELDS = 30  # bytes before the objects in the header


def windows_media_extent(source: Source) -> Extent:
    """Whether the object with the frames lies within the file; live recordings give it no size."""
    start, encrypted = 0, False
    for _ in range(MOST_OBJECTS):
        head = source.read(start, 24)
        size = int.from_bytes(head[16:24], "little")
        if head[:16] == DATA and size <= 50:
            return Extent(None, "it has no length, like a live recording", encrypted=encrypted)
        if len(head) < 24 or size < 24:
            break
        if head[:16] == HEADER:
            encrypted = _is_encrypted(source, start + HEADER_FIELDS, start + size)
        if start + size > source.size:
            frames = head[:16] in (HEADER, DATA)
            reason = missing("its data" if frames else "its index", start + size, source.size)
            return Extent(False if frames else None, reason, encrypted=encrypted)
        start += size
    return Extent(True, encrypted=encrypted)


def _is_encrypted(source: Source, start: int, end: int) -> bool:
    for _ in range(MOST_OBJECTS):
        head = source.read(start, 24) if start < end else b""
        if len(head) < 24 or (size := int.from_bytes(head[16:24], "little")) < 24:
            return False
        if head[:16] in ENCRYPTIONS:
            return True
        start += size
    return False
