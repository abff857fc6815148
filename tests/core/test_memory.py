"""Freed memory is kept for the next tensor."""

import platform
import subprocess
import sys

import pytest

from konv.core.memory import keep_freed_memory

BLOCKS = """
import resource
from konv.core.memory import keep_freed_memory
{first}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    block = b"1" * 60_000_000
    del block
before = faults()
for _ in range(3):
    block = b"1" * 60_000_000
    del block
print(faults() - before)
"""


def page_faults(first: str) -> int:
    return int(subprocess.run([sys.executable, "-c", BLOCKS.format(first=first)], capture_output=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides by itself")
def test_a_large_block_is_taken_again_without_asking_the_system() -> None:
    assert page_faults("") > 1_000
    assert page_faults("assert keep_freed_memory()") < 100


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
