"""Sealed JSON: comes back as it was, and not with a single character changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from konv.core.seals import BrokenSeal, sealed, unsealed

values = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=["Cs"]))
)
tables = st.dictionaries(st.sampled_from(["a", "b", "이름"]), values | st.lists(values), max_size=3)
indents = st.sampled_from([None, 1])


@given(tables, indents)
def test_what_was_sealed_comes_back(content: dict[str, object], indent: int | None) -> None:
    assert unsealed(sealed(content, indent), indent) == content


@given(tables, indents, st.data())
def test_one_flipped_bit_is_found(content: dict[str, object], indent: int | None, data: st.DataObject) -> None:
    whole = bytearray(sealed(content, indent).encode())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError):
        unsealed(whole.decode(), indent)


@pytest.mark.parametrize("text", ["3", "null", '"text"', "[]", "{}", '{"checksum": "0"}'])
def test_what_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(BrokenSeal):
        unsealed(text)


def test_another_spelling_of_the_same_content_is_refused() -> None:
    text = sealed({"a": 0.5})
    assert json.loads(text.replace("0.5", "0.50")) == json.loads(text)
    for other in (text.replace("0.5", "0.50"), text.replace(" ", "  "), text + " "):
        with pytest.raises(BrokenSeal):
            unsealed(other)
