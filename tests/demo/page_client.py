"""What a browser says to the page, said without one; and a server to say it to, in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

SCRIPT = """
import sys
from pathlib import Path
from binorm.experiments.style import style_file
style_file.SHIPPED = Path(sys.argv[1])
from binorm.experiments.cli import main
sys.exit(main(["serve", *sys.argv[2:]]))
"""


@contextmanager
def running(styles: Path, *options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """``binorm serve --port 0`` with the styles of a folder: its address and its process; ends as Ctrl-C ends it."""
    command = [sys.executable, "-c", SCRIPT, str(styles), "--port", "0", *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if match := re.search(r"http://\S+", line):
                    yield match[0], process
                    break
            else:
                raise AssertionError(f"the server did not start: {''.join(lines)}")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


class PageClient:
    """One visitor; a context manager. With a session, results replace each other as they do in a browser."""

    def __init__(self, address: str, session: str | None = None) -> None:
        self._session = {} if session is None else {"session_hash": session}
        self.http = httpx.Client(base_url=address, timeout=120, trust_env=False)

    def __enter__(self) -> "PageClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def upload(self, data: bytes, name: str = "picture.png") -> str:
        """Send a file; its path on the server."""
        answer = self.http.post("gradio_api/upload", files={"files": (name, data)})
        answer.raise_for_status()
        return answer.json()[0]

    def ask(self, path: str | None, style: str, strength: float = 1, gate: float = 0) -> httpx.Response:
        """Ask for a picture in a style; the answer holds the ticket."""
        file = None if path is None else {"path": path, "meta": {"_type": "gradio.FileData"}}
        data = [file, None, style, strength, gate]
        return self.http.post("gradio_api/call/stylize", json={"data": data, **self._session})

    def answer(self, asked: httpx.Response) -> tuple[str, object]:
        """``"complete"`` and what the page would show, or ``"error"`` and the message."""
        asked.raise_for_status()
        text = self.http.get(f"gradio_api/call/stylize/{asked.json()['event_id']}").text
        kind, data = re.findall(r"event: (complete|error)\ndata: (.*)", text)[-1]
        return kind, json.loads(data)

    def stylize(
        self, data: bytes, style: str, name: str = "picture.png", strength: float = 1, gate: float = 0
    ) -> tuple[str, object]:
        """Upload and ask, as `answer`."""
        return self.answer(self.ask(self.upload(data, name), style, strength, gate))

    def download(self, shown: object) -> bytes:
        """The file of a complete answer."""
        path = shown[1]["value"]["path"]
        answer = self.http.get(f"gradio_api/file={path}")
        answer.raise_for_status()
        return answer.content
