"""What stands between the network and Gradio: the few addresses that the page needs, bounded bodies, own files only.

Gradio's server can do more than this page asks for: fetch addresses that a visitor names, serve its caches, take bodies
of any length. None of that gets past here.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from binorm.demo.limits import Limits
from binorm.demo.shelf import Shelf

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

API = "/gradio_api/"
FILE = f"{API}file="
UPLOAD = f"{API}upload"
_PAGES = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"})
_CALLS = frozenset({"info", "startup-events", "app_id", "theme.css", "queue/data", "upload_progress"})
_FOLDERS = ("/assets/", "/static/", "/svelte/", f"{API}heartbeat/", f"{API}call/", FILE)
_POSTS = frozenset({f"{API}queue/join", f"{API}cancel", f"{API}reset"})
_JSON_BYTES = 2**16  # a request names files and settings, it never carries them
_FORM_BYTES = 2**16  # what multipart adds to a file
HEADERS = {
    # Scripts of Gradio stand in the page and build their templates with eval; but nothing comes from elsewhere.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class _Refusal(Exception):  # noqa: N818 - an answer, not an error
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """An ASGI application in front of Gradio's.

    Args:
        application: Gradio's.
        shelf: whose files, and no others, are served and may be named in requests.
        limits: of uploads.
        hosts: names under which the server may be addressed, which keeps other sites' scripts from reaching it through
            a name of their own; None for any.
    """

    def __init__(self, application: Application, shelf: Shelf, limits: Limits, hosts: frozenset[str] | None) -> None:
        self._application, self._shelf, self._limits, self._hosts = application, shelf, limits, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a plain sentence."""
        if scope["type"] == "http":
            await self._exchange(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._application(scope, receive, send)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(receive, send)
        try:
            self._check_address(scope)
            await self._check_body(scope, exchange)
            await self._application(scope, exchange.receive, exchange.send)
        except _Refusal as refusal:
            exchange.refusal = refusal
        except Exception:
            if exchange.refusal is None:  # else Gradio only complains that its request ended
                raise
        await exchange.close()

    def _check_address(self, scope: Scope) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = urlsplit(f"//{headers.get(b'host', '')}").hostname
        if self._hosts is not None and host not in self._hosts:
            raise _Refusal(421, "this server answers under its own address only")
        path, method = scope["path"], scope["method"]
        if method in ("GET", "HEAD"):
            fine = path in _PAGES or path.startswith(_FOLDERS) or path.removeprefix(API) in _CALLS
        else:
            fine = method == "POST" and (path in _POSTS or path == UPLOAD or path.startswith(f"{API}call/"))
        if not fine:
            raise _Refusal(404, "there is nothing here")
        if path.startswith(FILE) and not self._shelf.holds(path.removeprefix(FILE)):
            raise _Refusal(403, "this file is not served")

    async def _check_body(self, scope: Scope, exchange: "_Exchange") -> None:
        if scope["method"] != "POST":
            return
        if scope["path"] == UPLOAD:
            self._shelf.sweep()
            reason = f"a picture may have up to {self._limits.megabytes:g} MB"
            exchange.bound(self._limits.upload_bytes + _FORM_BYTES, reason)
        else:
            exchange.bound(_JSON_BYTES, "this request is too long")
            self._check_files(await exchange.read())

    def _check_files(self, body: bytes) -> None:
        try:
            named = list(_paths(json.loads(body or b"null")))
        except (ValueError, RecursionError) as error:
            raise _Refusal(400, "the request is not JSON") from error
        if not all(isinstance(path, str) and self._shelf.use(path) for path in named):
            raise _Refusal(410, "this picture is no longer here: choose it again")


def _paths(value: Any) -> Iterator[Any]:
    """Every file that a request names; Gradio would fetch those that are addresses."""
    if isinstance(value, dict):
        if value.get("path") is not None:
            yield value["path"]
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each)


class _Exchange:
    """A request and its answer: a body that ends where it gets too long, and headers of our own."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.refusal: _Refusal | None = None
        self._receive, self._send = receive, send
        self._most, self._reason, self._came = 0, "", 0
        self._read: list[Message] = []
        self._answered = False

    def bound(self, most: int, reason: str) -> None:
        """Take up to ``most`` bytes; beyond them the request is refused for this reason."""
        self._most, self._reason = most, reason

    async def read(self) -> bytes:
        """The whole body, which `receive` then gives again."""
        body = b""
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                raise self.refusal or _Refusal(400, "the request was cut short")
            body += bytes(message.get("body", b""))
            if not message.get("more_body"):
                self._read = [{"type": "http.request", "body": body, "more_body": False}]
                return body

    async def receive(self) -> Message:
        """What came, or that the client left: in the middle of too long a body."""
        if self._read:
            return self._read.pop()
        if self.refusal is not None:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._came += len(message.get("body", b""))
        if self._came > self._most:
            self.refusal = _Refusal(413, self._reason)
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the application answers, unless the request was refused while it came."""
        if self.refusal is not None and not self._answered:
            return
        if message["type"] == "http.response.start":
            self._answered = True
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message.get("headers", []), *own]
        await self._send(message)

    async def close(self) -> None:
        """Where the request was refused, say why, in the form in which Gradio's browser part looks for it."""
        if self.refusal is None or self._answered:
            return
        refusal, self.refusal = self.refusal, None
        body = json.dumps({"detail": str(refusal), "error": str(refusal)}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})
