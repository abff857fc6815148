"""Hangul on a machine without a Korean font: the glyphs a page uses, inside the page."""

from base64 import b64encode
from io import BytesIO

from konv.app.figures._sheet import FONT

SYSTEM = ("Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "Noto Sans CJK KR", "NanumGothic")
BLOCKS = ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3))  # Jamo, compatibility Jamo, syllables


def font_face(page: str) -> str:
    """Returns CSS rules for the families "Korean" (what the machine has) and "Konv Hangul" (the page's own Hangul).

    Nothing where the page has no Hangul. Both come before all other families: Chromium 156 leaves boxes where a family
    further back is loaded late.
    """
    letters = {ord(letter) for letter in set(page) if any(first <= ord(letter) <= last for first, last in BLOCKS)}
    if not letters:
        return ""
    ranges = ",".join(f"U+{first:X}-{last:X}" for first, last in BLOCKS)
    source = b64encode(_reduced(letters)).decode("ascii")
    return "\n".join(
        [
            _system("1 599", "", ranges),
            _system("600 999", " Bold", ranges),
            f'@font-face{{font-family:"Konv Hangul";unicode-range:{ranges};'
            f'src:url("data:font/woff;base64,{source}") format("woff")}}',
        ]
    )


def _system(weights: str, style: str, ranges: str) -> str:
    sources = ",".join(f'local("{name}{style}")' for name in SYSTEM)
    return f'@font-face{{font-family:"Korean";font-weight:{weights};unicode-range:{ranges};src:{sources}}}'


def _reduced(letters: set[int]) -> bytes:
    """Returns a WOFF file with these letters alone, the same bytes for the same letters."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options(hinting=False, layout_features=[], notdef_outline=True, name_IDs=[0, 1, 2, 4, 6, 13, 14])
    font = TTFont(FONT, recalcTimestamp=False)
    reducer = subset.Subsetter(options)
    reducer.populate(unicodes=letters)
    reducer.subset(font)
    font.flavor = "woff"
    stream = BytesIO()
    font.save(stream)
    return stream.getvalue()
