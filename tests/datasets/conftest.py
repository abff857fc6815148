"""Every test here keeps its data in a folder of its own, and may start a web server that misbehaves."""

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "konv-data"
    monkeypatch.setenv("KONV_DATA", str(folder))
    return folder


def png(colour: object = 128, size: tuple[int, int] = (12, 12), mode: str = "L") -> bytes:
    return encoded(Image.new(mode, size, colour))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of six grey PNG files each: dark (about 40) and light (about 200)."""
    random = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(6):
            values = random.integers(level - 20, level + 20, (20, 30), dtype=np.uint8)
            (tmp_path / "pictures" / name / f"{index}.png").write_bytes(encoded(Image.fromarray(values)))
    return tmp_path / "pictures"


@dataclass
class Server:
    """A web server on this machine: what it serves and how it misbehaves."""

    address: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True  # obeys Range headers
    break_after: int | None = None  # bytes of each answer before the connection is closed
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range header)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    facts = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(facts)) as running:
        facts.address = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield facts
        running.shutdown()
        thread.join()


def _handler(facts: Server) -> Callable[..., BaseHTTPRequestHandler]:
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
