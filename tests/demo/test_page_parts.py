"""The parts behind the page, one at a time: kept files, found reports and networks, options of the command."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest
import torch
from hostile_files import encoded, photograph
from PIL import Image

from binorm.experiments.cli import main
from binorm.experiments.common.errors import UserError

pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'binorm[demo]'")

from binorm.demo.limits import Limits, open_picture
from binorm.demo.networks import Networks, channel_maps
from binorm.demo.reports import find_reports, read_below, report_frame
from binorm.demo.server import Settings, serving
from binorm.demo.shelf import Shelf
from binorm.demo.style_tab import gate_text


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_old_files_go_and_used_ones_stay(tmp_path) -> None:
    shelf = Shelf(tmp_path, Limits(kept_seconds=100))
    for name in ("old.png", "used.png", "new.png"):
        path = shelf.put(name, name, b"x")
        if name != "new.png":
            os.utime(path, (time.time() - 200,) * 2)
            os.utime(path.parent, (time.time() - 200,) * 2)
    (used,) = tmp_path.rglob("used.png")
    assert shelf.use(str(used))
    shelf.sweep()
    assert files_of(tmp_path) == {"used.png", "new.png"}
    assert not any("old" in path.name for path in tmp_path.rglob("*"))


def test_the_oldest_files_go_where_there_are_too_many_bytes(tmp_path) -> None:
    shelf = Shelf(tmp_path, Limits(kept_megabytes=3))
    for place in range(6):
        path = shelf.put(str(place), f"{place}.png", bytes(2**20))
        os.utime(path, (time.time() - 60 + place,) * 2)
    shelf.sweep()
    assert files_of(tmp_path) == {"3.png", "4.png", "5.png"}


def test_a_visitor_who_leaves_takes_the_results_along(tmp_path) -> None:
    shelf = Shelf(tmp_path, Limits())
    shelf.put("one", "a.png", b"x")
    shelf.put("../two", "b.png", b"x")
    shelf.forget("one")
    assert files_of(tmp_path) == {"b.png"}
    shelf.forget("never came")


def test_the_shelf_holds_its_own_files_alone(tmp_path) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    shelf = Shelf(folder, Limits())
    own = shelf.put("one", "a.png", b"x")
    outside = tmp_path / "secret"
    outside.write_text("secret")
    (folder / "link").symlink_to(outside)
    assert shelf.holds(str(own))
    for path in (outside, folder / "link", folder / ".." / "secret", folder, folder / "absent", "a\0b", "x" * 5000):
        assert not shelf.holds(str(path))
        assert not shelf.use(str(path))


@pytest.mark.parametrize(
    ("limits", "picture", "message"),
    [
        (Limits(megabytes=0.001), (64, 48), "MB"),
        (Limits(megapixels=0.001), (64, 48), "pixels"),
        (Limits(longest_side=50), (64, 48), "sides of up to 50"),
    ],
)
def test_pictures_beyond_the_limits_are_refused(limits, picture, message) -> None:
    data = encoded("PNG", Image.fromarray(photograph(*picture)))
    assert open_picture(data, Limits()).pixels.shape == (48, 64, 3)
    with pytest.raises(UserError, match=message):
        open_picture(data, limits)


def test_reports_below_the_runs_are_found_and_links_are_not(runs) -> None:
    found = find_reports(runs)
    assert set(found) == {"digits", "words"}
    assert find_reports(runs / "absent") == {}
    for name in ("stolen", "../secret", "linked/runs/digits", str(runs / "digits")):
        with pytest.raises(UserError, match="unknown report"):
            report_frame(runs, name)
    for path in (runs / "stolen" / "report.html", runs / "linked" / "secret.html", runs / ".." / "secret.html"):
        with pytest.raises(UserError):
            read_below(runs, path)


def test_a_report_cannot_leave_its_frame(runs, tmp_path) -> None:
    frame = report_frame(runs, "digits")
    assert 'sandbox=""' in frame
    assert "<script" not in frame
    assert "&lt;script&gt;" in frame
    assert frame.count('"') == 8
    (tmp_path / '"><script>').mkdir()
    (tmp_path / '"><script>' / "report.md").write_text('"></iframe><script>alert(1)</script>')
    (name,) = find_reports(tmp_path)
    frame = report_frame(tmp_path, name)
    assert "<script" not in frame
    assert frame.count('"') == 8


def test_networks_are_found_by_name_only(runs, styles) -> None:
    networks = Networks(runs, {"tiny": styles / "tiny.safetensors", "plain": styles / "plain.safetensors"})
    assert list(networks.find()) == ["digits/bin/seed0", "style: tiny", "style: plain"]
    with pytest.raises(UserError, match="unknown network"):
        networks.open(str(runs / "digits" / "bin" / "seed0"))
    with pytest.raises(UserError, match="no gates"):
        networks.open("style: plain")


@pytest.mark.parametrize("name", ["digits/bin/seed0", "style: tiny"])
def test_channel_maps_are_the_norms_output_with_other_gates(runs, styles, name) -> None:
    opened = Networks(runs, {"tiny": styles / "tiny.safetensors"}).open(name)
    layer = opened.layers[1].name
    norm = opened.network.get_submodule(layer)
    seen = {}
    handle = norm.register_forward_pre_hook(lambda _, arguments: seen.update(x=arguments[0]))
    channels = channel_maps(opened, layer, photograph())
    handle.remove()
    learned = norm.gate.detach().clone()
    assert [channel.gate for channel in channels] == sorted(channel.gate for channel in channels)
    assert channels[0].gate == learned.min()
    for place, gate in enumerate((torch.zeros_like(learned), learned, torch.ones_like(learned))):
        norm.gate.data.copy_(gate)
        output = norm._normalize(seen["x"])
        for channel in channels:
            torch.testing.assert_close(channel.maps[place], output[0, channel.index], rtol=1e-4, atol=1e-5)
    norm.gate.data.copy_(learned)
    with pytest.raises(UserError, match="unknown layer"):
        channel_maps(opened, "elsewhere", photograph())


def test_the_gates_place_is_explained() -> None:
    assert "As trained" in gate_text(0)
    assert "40% of the way to 0: instance norm" in gate_text(-0.4)
    assert "All gates are 1: batch norm" in gate_text(1)


def test_a_taken_port_is_named_with_a_free_one(tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1 is taken: 'binorm serve --port \\d+' is free"):
            serving(Settings(tmp_path, {}, port=port)).__enter__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "from 0 (any free one) to 65535 (got 70000)"),
        (["--max-megapixels", "0"], "--max-megapixels should be above 0"),
        (["--max-megabytes", "-1"], "--max-megabytes should be above 0"),
        (["--host", "no.such.host.invalid"], "no address of this machine"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
    ],
)
def test_wrong_options_are_named(capsys, options, message) -> None:
    assert main(["serve", *options]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_other_machines_are_warned_of(capsys) -> None:
    main(["serve", "--host", "192.0.2.1"])
    assert "anyone who reaches this machine" in capsys.readouterr().err.replace("\n", " ")
    assert Settings(Path(), {}, "127.0.0.1").is_loopback
    assert Settings(Path(), {}, "localhost").is_loopback
    assert not Settings(Path(), {}, "0.0.0.0").is_loopback  # noqa: S104 - what is tested


def test_without_gradio_the_way_out_is_said(capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["serve", "--port", "0"]) == 2
    assert "pip install 'binorm[demo]'" in capsys.readouterr().err.replace("\n", " ")
