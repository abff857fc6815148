"""The envelope of a run: what must be the same for two trainings to agree bit for bit."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

ENVELOPE = ("torch", "processes", "threads", "instruction_set", "precision", "device")
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux names processors' instructions; the last one is Arm's
PACKAGES = ("konv", "torch", "torchvision", "numpy", "pillow", "scikit-learn", "safetensors")


def describe(device: torch.device, precision: str, processes: int = 1) -> dict[str, Any]:
    """Returns versions, machine and the envelope of this process; `precision` as in a recipe."""
    found = {name: _version(name) for name in PACKAGES}
    return {
        **{name: value for name, value in found.items() if value},
        "torch": torch.__version__,  # with the kind of build: the +cpu and +cu132 ones compute differently
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "precision": choose_precision(precision, device),
        "device": device.type,
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "command": ["konv", *sys.argv[1:]],
    }


def differences(recorded: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Returns one phrase for each part of the envelope that is not what the run was started with."""
    before = {"processes": 1, "precision": here["precision"], **recorded}  # a run of before these were noted
    altered = [f"{name} was changed since then" for name in recorded.get("altered", ())]
    return [f"{name} was {before.get(name)}, is {here[name]}" for name in ENVELOPE if before.get(name) != here[name]] + altered


def choose_device(name: str) -> torch.device:
    """Returns the device of a recipe; `auto` takes cuda, then mps, then cpu."""
    from konv.core.errors import BadRecipe

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if not present[name]:
        usable = ", ".join(kind for kind, there in present.items() if there)
        raise BadRecipe(f"device = {name!r} is not on this machine; it has {usable}. Leave it on auto, or take one of these.")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """Returns the number format of a recipe; `auto` takes bfloat16 where there are instructions for it, without which it is
    slower than float32.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device.type == "cpu" and BFLOAT16 & set(_of_the_processor("flags", "Features").split()) else "float32"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    return _of_the_processor("model name") or platform.processor()


def _of_the_processor(*names: str) -> str:
    """Returns what Linux says under one of these names of the first core; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in names), "")
