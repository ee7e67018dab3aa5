"""The page under load and under attack: 20 visitors at once, then 100 files that are broken or hostile.

Run: python benchmarks/page_load.py [--visitors 20] [--seconds 60] [--hostile 100] [--styles DIR] [--out FILE.json]

``binorm serve`` runs in a process of its own on this machine, with its own limits. Each visitor uploads a picture of
512 x 512 pixels, has it drawn, downloads the result, and starts again; one who is told that the page is busy waits for
half a second. A latency is that of all three together. Then one visitor sends the hostile files, one after the other,
and at last a picture of 12 megapixels.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.style.style_file import SHIPPED

sys.path.append(str(Path(__file__).parents[1] / "tests" / "demo"))
from hostile_files import encoded, many, photograph
from page_client import PageClient, running

SIDE = 512
LARGEST = (4000, 3000)
WAIT_SECONDS = 0.5  # of a visitor who was told to come again


class Load:
    """What visitors see, counted."""

    def __init__(self, address: str, style: str, until: float) -> None:
        self.counts: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.problems: list[str] = []
        self._address, self._style, self._until = address, style, until

    def visit(self, number: int) -> None:
        """Be one visitor."""
        data = encoded("JPEG", Image.fromarray(photograph(SIDE, SIDE, seed=number)))
        with PageClient(self._address, f"visitor-{number}") as visitor:
            while time.monotonic() < self._until:
                try:
                    self._draw(visitor, data)
                except Exception as error:
                    self.counts["error"] += 1
                    self.problems.append(repr(error)[:300])

    def _draw(self, visitor: PageClient, data: bytes) -> None:
        started = time.monotonic()
        asked = visitor.ask(visitor.upload(data), self._style)
        if asked.status_code == 503:
            self.counts["busy"] += 1
            time.sleep(WAIT_SECONDS)
            return
        kind, shown = visitor.answer(asked)
        if kind != "complete":
            raise RuntimeError(f"the page answered {shown}")
        visitor.download(shown)
        self.counts["result"] += 1
        self.latencies.append(time.monotonic() - started)


def under_load(address: str, style: str, visitors: int, seconds: float) -> dict[str, Any]:
    """Let so many visitors come at once."""
    load = Load(address, style, time.monotonic() + seconds)
    threads = [threading.Thread(target=load.visit, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(load.latencies)
    return {
        "visitors": visitors,
        "seconds": seconds,
        "picture": [SIDE, SIDE],
        **{kind: load.counts[kind] for kind in ("result", "busy", "error")},
        "problems": load.problems[:5],
        "latency_median_s": statistics.median(ordered),
        "latency_p95_s": ordered[int(0.95 * (len(ordered) - 1))],
        "latency_max_s": ordered[-1],
    }


def under_attack(address: str, style: str, count: int) -> dict[str, Any]:
    """Send so many hostile files."""
    answers: Counter[str] = Counter()
    slowest = (0.0, "")
    with PageClient(address, "attacker") as visitor:
        for kind, name, data in many(count):
            started = time.monotonic()
            answer, shown = visitor.stylize(data, style, name)
            answers["a result" if answer == "complete" else "a message"] += 1
            if answer == "error" and not shown["error"]:
                answers["no words"] += 1
            slowest = max(slowest, (time.monotonic() - started, kind))
        alive = visitor.stylize(encoded("PNG"), style)[0] == "complete"
    return {
        "files": count,
        "answers": dict(answers),
        "slowest_s": slowest[0],
        "slowest": slowest[1],
        "alive_after": alive,
    }


def largest_picture(address: str, style: str) -> dict[str, Any]:
    """Draw one picture of as many pixels as the page takes."""
    data = encoded("JPEG", Image.fromarray(photograph(*LARGEST)))
    started = time.monotonic()
    with PageClient(address, "photographer") as visitor:
        kind, _ = visitor.stylize(data, style)
    return {"picture": LARGEST, "answer": kind, "seconds": time.monotonic() - started}


def peak_mebibytes(process: int) -> float:
    """Of the resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def kept(folder: Path) -> dict[str, float]:
    """What lies in the server's folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return {"files": len(sizes), "mebibytes": sum(sizes) / 2**20}


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hostile", type=int, default=100)
    parser.add_argument("--styles", type=Path, default=SHIPPED, help="a folder of styles; the first is drawn")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    style = sorted(path.stem for path in options.styles.glob("*.safetensors"))[0]
    with running(options.styles) as (address, process):
        with PageClient(address) as visitor:
            folder = Path(visitor.upload(b"x")).parents[1]
        facts: dict[str, Any] = {
            "style": style,
            "started_mebibytes": peak_mebibytes(process.pid),
            "load": under_load(address, style, options.visitors, options.seconds),
            "kept_after_load": kept(folder),
            "hostile": under_attack(address, style, options.hostile),
            "peak_mebibytes": peak_mebibytes(process.pid),
            "largest": largest_picture(address, style),
            "peak_mebibytes_with_the_largest": peak_mebibytes(process.pid),
        }
    facts |= {
        "exit_code": process.returncode,
        "left_on_disk_after_stop": folder.exists(),
        "command": " ".join(["python", *sys.argv]),
        "machine": describe_machine(),
        "versions": describe_versions() | {"gradio": version("gradio")},
    }
    print(json.dumps(facts, indent=2))
    if options.out:
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
