"""Memory: the same training on a folder of pictures and on one ten times as large.

    python benchmarks/memory.py --pictures 3000

Pictures are decoded once into a memory-mapped cache, from which batches stream. Prints a Markdown table: size of the decoded
data, peak of the memory the process owns (anonymous pages; those of the mapped cache belong to the system, which takes them
back when it needs them) and, where control groups can be made, whether the training ends in a group that is allowed less
memory in all than the decoded data has.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import numpy as np
from PIL import Image

SIDE = 96
GROUP = Path("/sys/fs/cgroup/memory/konv-benchmark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--limit", type=int, default=640, help="MiB that the control group allows")
    options = parser.parse_args()
    print("| pictures | decoded, MiB | peak of own memory, MiB | in a group of | whole process, s |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for factor in (1, 10):
            count = factor * options.pictures
            photos = Path(scratch) / f"photos{factor}"
            draw(photos, count)
            print(row(photos, count, limit=None), flush=True)
        with group(options.limit) as joined:
            if joined:
                print(row(photos, count, options.limit), flush=True)


def draw(folder: Path, count: int) -> None:
    """Writes noisy pictures of two classes, brighter and darker."""
    noise = np.random.default_rng(0)
    for index in range(count):
        label = ("dark", "bright")[index % 2]
        (folder / label).mkdir(parents=True, exist_ok=True)
        pixels = noise.normal(100 + 40 * (index % 2), 40, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / label / f"{index}.jpg", quality=80)


def row(photos: Path, count: int, limit: int | None) -> str:
    out = photos.with_name(f"{photos.name}-{limit}")
    command = [sys.executable, "-m", "konv", "train", str(photos), "--json", "--quiet", "--out", str(out), "--threads", "1"]
    command += ["--set", f"data.size={SIDE}", "--set", "fit.epochs=1", "--set", "model.width=4"]
    environment = {**os.environ, "KONV_DATA": str(photos.with_name("data")), "OMP_NUM_THREADS": "1"}
    if limit:
        command = ["sh", "-c", f'echo $$ > {GROUP}/cgroup.procs && exec "$@"', "sh", *command]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        peak, seconds = 0, 0.0
        while process.poll() is None:
            peak = max(peak, own_memory(process.pid))
            sleep(0.05)
            seconds += 0.05
        assert process.stdout is not None
        if process.returncode:
            sys.exit(f"the training ended with status {process.returncode}")
        json.loads(process.stdout.read())
    decoded = count * 3 * SIDE**2 / 2**20
    return f"| {count:,} | {decoded:,.0f} | {peak / 2**20:,.0f} | {f'{limit} MiB' if limit else 'no limit'} | {seconds:.0f} |"


def own_memory(process: int) -> int:
    """Returns the bytes of anonymous memory a process holds now."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


@contextmanager
def group(limit: int) -> Iterator[bool]:
    """A control group (version 1) that is allowed `limit` MiB, cache pages included; False where none can be made."""
    try:
        GROUP.mkdir(exist_ok=True)
        (GROUP / "memory.limit_in_bytes").write_text(str(limit * 2**20))
    except OSError:
        yield False
        return
    yield True
    GROUP.rmdir()


if __name__ == "__main__":
    main()
