"""Picture files and a web server, made to order."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from PIL import Image


def png(colour: object = 128, size: tuple[int, int] = (12, 12), mode: str = "L") -> bytes:
    return encoded(Image.new(mode, size, colour))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


@dataclass
class Server:
    """A web server on this machine: what it serves and how it misbehaves."""

    address: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True  # obeys Range headers
    break_after: int | None = None  # bytes of each answer before the connection is closed
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range header)


def handler(facts: Server) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            facts.asked.append((self.path, wanted))
            content = facts.content.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and facts.ranges else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: facts.break_after])

        def log_message(self, *words: object) -> None: ...

    return Handler
