"""Text in images fits the width that it is given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.runtime.reporting.lettering import fitting_font, font_of, wrapped

FONT = font_of(12)


@given(st.text("abW i\n-", max_size=200), st.integers(20, 300))
@settings(deadline=None)
def test_lines_fit_and_no_letter_is_lost(text, width):
    lines = wrapped(text, FONT, width)
    assert all(FONT.getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(text.split())


@given(st.text("ab cd", min_size=1, max_size=200), st.integers(1, 3))
@settings(deadline=None)
def test_text_that_is_cut_ends_in_an_ellipsis(text, most):
    whole, cut = wrapped(text, FONT, 40), wrapped(text, FONT, 40, lines=most)
    assert len(cut) <= most
    assert (cut == whole) == (len(whole) <= most)
    if len(whole) > most:
        assert cut[-1].endswith("…")
        assert FONT.getlength(cut[-1]) <= 40


@pytest.mark.parametrize(("width", "size"), [(1000, 40), (60, None), (1, 7)])
def test_the_font_shrinks_until_the_text_fits(width, size):
    font = fitting_font("some words", width, 40)
    assert size in (None, font.size)
    assert font.size == 7 or font.getlength("some words") <= width
