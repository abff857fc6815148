"""Every test here keeps its data in a folder of its own, and may start a web server that misbehaves."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from making import Server, encoded, handler
from PIL import Image


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "konv-data"
    monkeypatch.setenv("KONV_DATA", str(folder))
    return folder


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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    facts = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(facts)) as running:
        facts.address = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield facts
        running.shutdown()
        thread.join()
