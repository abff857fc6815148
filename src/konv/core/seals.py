"""Seals: JSON that carries a checksum of itself, so that one flipped bit is found when it is read.

The checksum is the last member of the table. Reading writes the content again and compares the texts, so a change of white
space or of a number's last digit is found too, although it may mean the same.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "checksum"


class BrokenSeal(ValueError):
    """A text that is JSON, but not the one that was sealed."""


def sealed(table: Mapping[str, Any], indent: int | None = 1) -> str:
    """Returns a table as JSON that ends with the sha256 of what stands before it."""
    digest = hashlib.sha256(_text(table, indent).encode("utf-8")).hexdigest()
    return _text({**table, SEAL: digest}, indent)


def unsealed(text: str, indent: int | None = 1) -> dict[str, Any]:
    """Returns what was sealed, without the checksum; raises ValueError where a single character is not as it was written."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise BrokenSeal("it holds no table of names and values")
    table = {name: value for name, value in content.items() if name != SEAL}
    if sealed(table, indent) != text:
        raise BrokenSeal("its checksum does not hold")
    return table


def _text(content: Mapping[str, Any], indent: int | None) -> str:
    return json.dumps(content, ensure_ascii=False, indent=indent) + "\n"
