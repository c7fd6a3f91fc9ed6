"""Text in images: the font, and lines that fit a width in pixels."""

from PIL import ImageFont


def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The font of all images, `size` pixels high."""
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType"
    return font


def fitting_font(text: str, width: float, size: int, smallest: int = 7) -> ImageFont.FreeTypeFont:
    """The font at `size`, or as much smaller as `text` needs to fit into `width`, down to `smallest`."""
    while size > smallest and font_of(size).getlength(text) > width:
        size -= 1
    return font_of(max(size, smallest))


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: float, lines: int | None = None) -> list[str]:
    """The text in lines no wider than `width`; a word that is too long continues on the next line.

    Args:
        lines: maximum number; the last one then ends in "…". By default there is no maximum.
    """
    found = [""]
    for word in text.split():
        joined = f"{found[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            found[-1] = joined
            continue
        pieces = _pieces(word, font, width)
        found = [*found, *pieces] if found[-1] else pieces
    if lines is None or len(found) <= lines:
        return found
    last = found[lines - 1]
    while last and font.getlength(f"{last}…") > width:
        last = last[:-1]
    return [*found[: lines - 1], f"{last}…"]


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """A word in pieces no wider than `width`, of at least one letter."""
    pieces = [word[0]]
    for letter in word[1:]:
        if font.getlength(pieces[-1] + letter) <= width:
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces
