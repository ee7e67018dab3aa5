"""What a file's name says of it: a picture that is read, one that is not, a video, or something that nobody means.

One list for all that read pictures, for training and for drawing. What is passed over is told, by reason.
"""

from pathlib import PurePosixPath

# Whatever a file is called, its content decides how it is decoded; see `binorm.experiments.common.images`.
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".3gp", ".3g2"}
    | {".wmv", ".ogv", ".vob"}
)
# Pictures of kinds that nothing here decodes, and what makes a PNG or TIFF of them.
UNREAD_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".psd", ".xcf", ".svg", ".eps", ".ico"}
    | {".tga", ".pcx", ".exr", ".hdr", ".pfm", ".dcm", ".dds", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2"}
    | {".raf", ".raw", ".mpo", ".apng", ".icns", ".fits", ".svs", ".ndpi", ".dib"}
)
# What lies beside pictures and is none: no word is lost on it.
_COMPANIONS = frozenset(
    {".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".htm", ".pdf", ".yaml", ".yml", ".ini", ".log"}
    | {".mat", ".npy", ".npz", ".pkl", ".pickle", ".h5", ".hdf5", ".db", ".sqlite", ".py", ".m", ".sh", ".ipynb"}
    | {".doc", ".docx", ".rtf", ".cfg", ".toml", ".cls", ".bib", ".tex", ".sha256", ".md5", ".aae", ".xmp", ".lnk"}
    | {".url", ".caffemodel", ".prototxt"}
)
_COMPANION_NAMES = frozenset({"license", "licence", "readme", "copying", "notice", "makefile", "thumbs.db"})
# Folders of file servers, desktops and rubbish bins, in lower case; those that begin with a dot are hidden anyway.
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information"}
    | {"lost+found", "@tmp", "@recycle", "@recently-snapshot", "__pycache__"}
)


def is_picture(name: str) -> bool:
    """Whether a file's name ends as that of a picture that is read does, and no part of its path is hidden."""
    return PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a relative path goes through a hidden or system folder, or names a hidden file.

    Hidden is what begins with a dot; ``.ipynb_checkpoints``, ``._photo.jpg`` and ``.Trash-1000`` are of that kind.
    System folders are those that file servers, desktops and rubbish bins leave: ``@eaDir``, ``$RECYCLE.BIN``,
    ``__MACOSX``.
    """
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part not in (".", "..")) or part.lower() in _SYSTEM_FOLDERS for part in parts)


def kind_of_stranger(name: str) -> str:
    """What a file that is no picture by its name seems to be, for people; empty for what often lies beside pictures."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        return "pictures of a kind that is not read (convert them to PNG)"
    if suffix in VIDEO_SUFFIXES:
        return "videos"
    if suffix in _COMPANIONS or path.name.lower() in _COMPANION_NAMES:
        return ""
    return "files whose names do not end as a picture's" if suffix else "files whose names have no ending"


def is_text(name: str) -> bool:
    """Whether a name is UTF-8, as reports, figures and logs need it; old archives leave others."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
