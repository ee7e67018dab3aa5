import io

import pytest
from rich.console import Console

from binorm.experiments.common.console import CONSOLE, one_line, plain, show_any_character


def _printed(text):
    file = io.StringIO()
    Console(file=file, highlight=False, soft_wrap=True, emoji=CONSOLE._emoji, width=80).print(text)
    return file.getvalue().removesuffix("\n")


NAMES = ["a[1].png", "[red]x[/red]", "[/x]", "a\\[b].png", "ü漢\u202f.png", "\U0001f468\u200d\U0001f469", ":smile:"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(name):
    assert _printed(one_line(name)) == name
    assert _printed(plain(name)) == name


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("esc\x1b[31mred", "esc\\x1b[31mred"),
        ("bell\a\x9b1m", "bell\\x07\\x9b1m"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("tab\tcr\r", "tab\\tcr\\r"),
    ],
)
def test_what_would_steer_the_terminal_is_written_out(name, printed):
    assert _printed(one_line(name)) == printed
    assert _printed(plain(name)) == printed


def test_line_breaks_stay_in_texts_and_are_written_out_in_one_line():
    assert _printed(plain("two\nlines")) == "two\nlines"
    assert _printed(one_line("two\nlines")) == "two\\nlines"


def test_streams_write_out_what_their_encoding_lacks(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    show_any_character()
    stream.write("Łódź\udce9")
    stream.flush()
    assert stream.buffer.getvalue() == b"\\u0141\\xf3d\\u017a\\udce9"
