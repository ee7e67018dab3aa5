"""Serves the page: on this machine alone unless asked otherwise, without a word to anyone else, and without a trace."""

import errno
import ipaddress
import os
import signal
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from binorm.demo.limits import Limits
from binorm.demo.shelf import Shelf
from binorm.experiments.common.errors import UserError

if TYPE_CHECKING:
    from uvicorn import Server

SWEEP_SECONDS = 30.0
STOP_SECONDS = 2  # for answers that are on their way
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Settings:
    """What is served, and where.

    Attributes:
        runs: the folder of all runs; it need not exist yet.
        styles: files of styles by name.
        host: an address of this machine.
        port: 0 for any that is free.
        limits: on visitors.
    """

    runs: Path
    styles: Mapping[str, Path]
    host: str = "127.0.0.1"
    port: int = 7860
    limits: Limits = field(default_factory=Limits)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def serve(settings: Settings, started: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C or a request to terminate.

    Args:
        settings: what, and where.
        started: called with the page's address once it answers.

    Raises:
        UserError: if the address or port cannot be had.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # visitors' broken pictures are no news for the terminal
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _prepared(settings) as (server, listener, address):
            server.config.callback_notify = _once(lambda: started(address))
            server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve the page from another thread while the block runs; gives its address.

    Raises:
        UserError: as `serve` does.
    """
    with _prepared(settings) as (server, listener, address):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _prepared(settings: Settings) -> "Iterator[tuple[Server, socket.socket, str]]":
    """A server that is ready to run, its socket and its address; afterwards nothing of it is left on the disk."""
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(settings.host, settings.port))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="binorm-", ignore_cleanup_errors=True)))
        # Gradio reads these whenever it needs them.
        environment = {"GRADIO_TEMP_DIR": str(folder.resolve()), "GRADIO_ANALYTICS_ENABLED": "False"}
        stack.enter_context(_environment({**environment, "HF_HUB_DISABLE_TELEMETRY": "1"}))
        shelf = Shelf(folder, settings.limits)
        server = _make_server(settings, shelf)
        stack.enter_context(_sweeping(shelf))
        # What only the second tab needs takes seconds to import: that need not wait for its first visitor.
        threading.Thread(target=_import_for_gates, daemon=True).start()
        port = listener.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield server, listener, f"http://{host}:{port}/"


def _make_server(settings: Settings, shelf: Shelf) -> "Server":
    import fastapi
    import gradio as gr
    import uvicorn

    from binorm.demo.appearance import css, theme
    from binorm.demo.guard import Guard
    from binorm.demo.page import TITLE, make_page
    from binorm.demo.stylist import Stylist

    limits, runs = settings.limits, settings.runs.resolve()
    stylist = Stylist(settings.styles)
    page = make_page(stylist, runs, settings.styles, shelf, limits)
    page.has_launched = True  # else Gradio does not check that files in requests are its own
    application = gr.mount_gradio_app(
        fastapi.FastAPI(title=TITLE, openapi_url=None),
        page,
        "/",
        server_name=settings.host,
        server_port=settings.port,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=limits.upload_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css=css(stylist.thumbnails()),
    )
    hosts = _LOOPBACK_NAMES | {settings.host} if settings.is_loopback else None
    config = uvicorn.Config(
        Guard(application, shelf, limits, hosts),
        log_level="error",
        access_log=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=STOP_SECONDS,
        lifespan="on",
        server_header=False,
    )
    return uvicorn.Server(config)


def _import_for_gates() -> None:
    import binorm.demo.gate_views
    import binorm.experiments.runs.checkpoint  # noqa: F401


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UserError(f"--port should be from 0 (any free one) to 65535 (got {port})")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise UserError(f"--host {host} is no address of this machine: try 127.0.0.1") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            with _listen(host, 0) as free:
                other = free.getsockname()[1]
            raise UserError(f"port {port} of {host} is taken: 'binorm serve --port {other}' is free") from error
        if error.errno == errno.EACCES:
            raise UserError(f"port {port} needs rights that you have not: give one from 1024 on") from error
        raise UserError(f"cannot listen on {host}: {error.strerror}; 127.0.0.1 is this machine alone") from error
    return listener


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _sweeping(shelf: Shelf) -> Iterator[None]:
    """Delete old files from time to time, also when nobody comes."""
    stop = threading.Event()

    def sweep() -> None:
        while not stop.wait(SWEEP_SECONDS):
            shelf.sweep()

    thread = threading.Thread(target=sweep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _once(action: Callable[[], None]) -> Any:
    """What uvicorn calls at regular intervals, to act at the first of them."""
    pending = [action]

    async def notify() -> None:
        if pending:
            pending.pop()()

    return notify
