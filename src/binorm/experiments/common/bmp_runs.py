"""Run-length encoded BMP: which of them Pillow reads as they are meant."""


def why_misread(runs: bytes, width: int, height: int, offset: int, four_bits: bool) -> str:
    """Why a BMP's runs would come out wrong, to go on behind its name; empty if they would not.

    Args:
        runs: the file from ``offset`` on.
        width: in pixels.
        height: in pixels.
        offset: where the pixels begin in the file; Pillow aligns by the file, the format by the pixels.
        four_bits: whether samples have 4 bits instead of 8; of an odd number of them Pillow drops the last.
    """
    if four_bits or offset % 2:
        return "is a BMP of runs in an arrangement that is not read: save it as a PNG first"
    if not _fit(runs, width, height):
        return "is a BMP whose runs do not fit into its rows: get it again, or save it as a PNG"
    return ""


def _fit(runs: bytes, width: int, height: int) -> bool:
    """Whether runs of 8 bits stay within their rows and end with the picture."""
    place = column = row = 0
    while place + 1 < len(runs) and row < height:
        count, value = runs[place], runs[place + 1]
        place += 2
        if count or value > 2:
            column += count or value
            place += 0 if count else value + value % 2  # what is not repeated is stored in pairs of bytes
        elif value == 0:
            column, row = 0, row + 1
        elif value == 1:
            break
        else:
            if place + 1 >= len(runs):
                return False
            column, row, place = column + runs[place], row + runs[place + 1], place + 2
        if column > width:
            return False
    return row >= height - 1
