"""Two machines: the same recipe on two hosts of a network of its own, with and without losing one of them on the way.

    python benchmarks/two_machines.py        (as root: it makes two network namespaces and removes them)

Each namespace is a host with an address, a loopback and nothing else in common with the other but one virtual cable. The
hosts have run folders of their own, so the second can only go on with what the first one sends it. Prints a Markdown table:
whether each way ends in the weights of the two-process run on one host.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import sleep

HOSTS = {"konv-a": "10.77.0.1", "konv-b": "10.77.0.2"}
PORT = "29511"
RECIPE = ["train", "shapes", "--json", "--quiet", "--set", "data.pictures=2400", "--set", "fit.epochs=24"]
RECIPE += ["--set", "fit.augment=flip,crop", "--set", "model.dropout=0.2", "--set", "fit.weight_average=0.9"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3, help="processes killed in the last way")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch, network():
        folder = Path(scratch)
        rows.append(("two processes, one host", *outcome(one_host(folder / "one"))))
        rows.append(("one process on each of two hosts", *outcome(two_hosts(folder / "two", kills=0))))
        rows.append((f"the same, {options.kills} processes killed", *outcome(two_hosts(folder / "cut", options.kills))))
    print("| way | weights (sha256) | accuracy | as on one host |\n| --- | --- | --- | --- |")
    for way, weights, accuracy in rows:
        print(f"| {way} | {weights[:12]} | {accuracy:.2%} | {'yes' if weights == rows[0][1] else 'NO'} |")


@contextmanager
def network() -> Iterator[None]:
    """Two hosts joined by a cable."""
    run = [["ip", "netns", "add", host] for host in HOSTS]
    first, second = HOSTS
    run.append(["ip", "link", "add", "veth-a", "netns", first, "type", "veth", "peer", "name", "veth-b", "netns", second])
    for host, cable in zip(HOSTS, ("veth-a", "veth-b"), strict=True):
        run.append(["ip", "-n", host, "addr", "add", f"{HOSTS[host]}/24", "dev", cable])
        run += [["ip", "-n", host, "link", "set", device, "up"] for device in (cable, "lo")]
    try:
        for command in run:
            subprocess.run(command, check=True)
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], check=False)


def torchrun(*options: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--max-restarts", "20", *options, "-m", "konv", *RECIPE, "--out"]


def one_host(out: Path) -> Path:
    subprocess.run([*torchrun("--standalone", "--nproc-per-node", "2"), str(out)], check=True, stdout=subprocess.DEVNULL)
    return out


def two_hosts(out: Path, kills: int) -> Path:
    """Trains with one process on each host; each host is given a run folder that the other cannot be meant by."""
    processes = []
    for rank, host in enumerate(HOSTS):
        options = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", out.name]
        options += ["--rdzv-endpoint", f"{HOSTS['konv-a']}:{PORT}", "--rdzv-conf", f"is_host={1 - rank}"]
        options += ["--local-addr", HOSTS[host]]
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": f"veth-{host[-1]}", "OMP_NUM_THREADS": "1"}
        command = ["ip", "netns", "exec", host, *torchrun(*options), str(out.with_name(f"{out.name}-{host}"))]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
    Thread(target=kill_on_the_way, args=(out, [process.pid for process in processes], kills), daemon=True).start()
    errors = [process.communicate()[1].decode() for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("\n".join(errors))
    return next(place for place in out.parent.glob(f"{out.name}-*") if (place / "report.json").is_file())


def kill_on_the_way(out: Path, agents: list[int], kills: int) -> None:
    """Each time five more epochs are done, kills the training process of a host drawn by lot."""
    chance = random.Random(kills)
    for number in range(kills):
        while max((len(place.read_text().splitlines()) for place in histories(out)), default=0) < 5 * number + 2:
            sleep(chance.uniform(0.02, 0.1))
        agent = chance.choice(agents)
        for child in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
            print(f"killed process {child} of host {agents.index(agent)}", file=sys.stderr)


def histories(out: Path) -> list[Path]:
    return list(out.parent.glob(f"{out.name}-*/history.jsonl"))


def outcome(out: Path) -> tuple[str, float]:
    report = json.loads((out / "report.json").read_text())
    return report["weights_sha256"], report["accuracy"]


if __name__ == "__main__":
    main()
