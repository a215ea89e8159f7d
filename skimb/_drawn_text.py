"""Labels as text in a plot, and in a table of a terminal.

matplotlib is imported where fonts are asked for: a terminal needs none of it.
"""

import re
from functools import lru_cache
from typing import Any
from unicodedata import combining, east_asian_width

__all__ = [
    "cells_of",
    "distinct_texts",
    "fallback_families",
    "left_aligned",
    "plain_text",
    "short_texts",
    "visible_text",
]

#: Largest width of a label in a plot, in letters.
MOST_WIDTH = 40

#: Characters that draw nothing, reverse the text, or are not allowed in XML, HTML or UTF-8:
#: controls, marks of direction, separators of lines, halves of surrogate pairs, no characters.
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufeff"
    "\ufff9-\uffff]"
)


def plain_text(label: Any, *, most: int = MOST_WIDTH) -> str:
    r"""Return a label as matplotlib shows it literally, in one line that is not too long.

    A dollar sign would start mathematics; characters that cannot be seen, or that the fonts in use
    lack, are written as their escapes; the middle of a long label is left out.

    Parameters
    ----------
    label : object
        The label.
    most : int, default=40
        Largest width, in letters. Those of East Asia count as two.

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb.inspection import plain_text
    >>> print(plain_text("5 $"))
    5 \$
    >>> print(plain_text("a\nb"), plain_text("x" * 60, most=9))
    a\nb xxxx…xxxx
    """
    fonts = _fonts()
    text = "".join(
        char if any(_has_glyph(font, char) for font in fonts) else _escape(char)
        for char in visible_text(label)
    )
    return _shortened(text, most).replace("$", r"\$")


def distinct_texts(labels, *, most=MOST_WIDTH):
    """Return `plain_text` of labels, numbered if several are the same.

    Parameters
    ----------
    labels : iterable
        Different labels.
    most : int, default=40
        Largest width, in letters, without the number.

    Returns
    -------
    list of str
    """
    return _numbered(plain_text(label, most=most) for label in labels)


def short_texts(labels, *, most=MOST_WIDTH):
    """Return labels as a page shows them where space is short: not too long, and all different.

    A browser has fonts of its own, so that letters stay which matplotlib could not draw.

    Parameters
    ----------
    labels : iterable
        Different labels.
    most : int, default=40
        Largest width, in letters, without the number.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from skimb._drawn_text import short_texts
    >>> short_texts(["a long name: one", "a long name: ones"], most=9)
    ['a lo… one', 'a lo…ones']
    """
    return _numbered(_shortened(visible_text(label), most) for label in labels)


def _numbered(found):
    """Add numbers to texts of which several are the same."""
    texts: list[str] = []
    for text in found:
        n = 1
        while (f"{text} ({n})" if n > 1 else text) in texts:
            n += 1
        texts.append(f"{text} ({n})" if n > 1 else text)
    return texts


def visible_text(text, *, keep=""):
    r"""Return a text with escapes for the characters that cannot be seen or written.

    Parameters
    ----------
    text : object
        The text. Bytes of a file name that are no UTF-8 are in it as Python has them, halves of
        surrogate pairs.
    keep : str, default=""
        Characters that stay.

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb._drawn_text import visible_text
    >>> print(visible_text("caf\udce9 \x07"))
    caf\xe9 \x07
    """
    return UNSEEN.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), str(text))


def cells_of(text):
    """Return how many cells of a terminal a text takes: letters of East Asia take two.

    Parameters
    ----------
    text : str

    Returns
    -------
    int

    Examples
    --------
    >>> from skimb._drawn_text import cells_of
    >>> cells_of("leaf"), cells_of("\u8449")
    (4, 2)
    """
    wide = sum(east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(combining(char) > 0 for char in text)


def left_aligned(text, n_cells):
    """Return a text with spaces after it, so that it takes so many cells of a terminal."""
    return text + " " * (n_cells - cells_of(text))


def fallback_families(texts):
    """Return families of installed fonts for characters that the fonts in use lack.

    Parameters
    ----------
    texts : iterable of str
        The texts to draw.

    Returns
    -------
    list of str
        The smallest number of families that suffices; characters that no font has are left out.
    """
    from matplotlib import font_manager

    fonts = _fonts()
    missing = {
        char
        for text in texts
        for char in visible_text(text)
        if not any(_has_glyph(font, char) for font in fonts)
    }
    families = []
    found = [
        (entry.name, {char for char in missing if _has_glyph(entry.fname, char)})
        for entry in (font_manager.fontManager.ttflist if missing else [])
        # A font of last resort has a box for every letter.
        if "lastresort" not in entry.name.lower().replace(" ", "")
        and entry.style == "normal"
        and entry.weight in (400, "normal", "regular", "book")
    ]
    while missing:
        name, has = max(found, key=lambda pair: len(pair[1] & missing), default=("", set()))
        if not has & missing:
            break
        families.append(name)
        missing -= has
    return families


def _fonts():
    """Return the files of the fonts that matplotlib draws with."""
    from matplotlib import font_manager, rcParams

    fonts = []
    for family in rcParams["font.family"]:
        try:
            fonts.append(font_manager.findfont(family, fallback_to_default=False))
        except ValueError:
            continue
    return fonts or [font_manager.findfont("DejaVu Sans")]


@lru_cache(maxsize=10_000)
def _has_glyph(font, char):
    from matplotlib import font_manager

    try:
        return font_manager.get_font(font).get_char_index(ord(char)) != 0
    except (OSError, RuntimeError):
        return False


def _escape(char):
    """Return the escape of a character, or of the byte, if it was not UTF-8."""
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("ascii", "backslashreplace").decode() if code > 0x7F else repr(char)[1:-1]


def _shortened(text, most):
    """Leave the middle out of a text that is too wide."""
    if cells_of(text) <= most:
        return text
    head, tail = "", ""
    for i in range(len(text)):
        if cells_of(head + tail) + 1 >= most:
            break
        if i % 2:
            tail = text[-1 - i // 2] + tail
        else:
            head += text[i // 2]
    return f"{head}…{tail}"
