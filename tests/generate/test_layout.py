"""Layout of sheets: one row per strip near 4:3, else the arrangement that is nearest to it."""

import math

from hypothesis import given
from hypothesis import strategies as st

from morphoscope.generate.layout import ASPECT, TOLERANCE, Grid, nearest_grid


def size_of(counts, margin=0.4):
    """Sizes in units of an image, with a margin on the left of each strip."""
    return lambda grid: ((margin + grid.columns) * grid.across, sum(grid.rows(counts)))


def distance(size):
    return abs(math.log(size[0] / size[1] / ASPECT))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.floats(0, 2))
def test_a_row_per_strip_or_an_arrangement_that_nothing_beats(counts, margin):
    size = size_of(counts, margin)
    found = nearest_grid(counts, size)
    plain = Grid(1, max(counts))
    if distance(size(plain)) <= math.log(TOLERANCE):
        assert found == plain
        return

    def blank(grid):
        return grid.across * grid.columns * sum(grid.rows(counts)) - sum(counts)

    # Strips per row, unless one strip fewer gives as many rows of strips.
    rows = [math.ceil(len(counts) / across) for across in range(1, len(counts) + 1)]
    for across in (1 + rows.index(number) for number in set(rows)):
        for columns in range(1, max(counts) + 1):
            other = Grid(across, columns)
            nearer = distance(size(other)) < distance(size(found)) - 1e-9
            assert not (nearer and blank(other) <= blank(found)), other


@given(st.integers(4, 2000))
def test_one_strip_of_any_length_is_near_the_aspect(count):
    columns = nearest_grid([count], size_of([count])).columns
    assert distance(size_of([count])(Grid(1, columns))) < math.log(1.5)
    assert columns <= count


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9).filter(any), st.integers(1, 9), st.integers(1, 9))
def test_the_rows_hold_every_image(counts, across, columns):
    rows = Grid(across, columns).rows(counts)
    assert len(rows) == math.ceil(len(counts) / across)
    for index, count in enumerate(counts):
        assert count <= columns * rows[index // across]


def test_a_row_per_condition_is_kept_where_it_fits():
    assert nearest_grid([5] * 7, size_of([5] * 7, margin=0.9)) == Grid(1, 5)
    assert nearest_grid([10] * 7, size_of([10] * 7)) == Grid(1, 10)
    assert nearest_grid([8] * 3, size_of([8] * 3)) == Grid(
        3, 2
    )  # that row would be 2.8 times as wide as high


def test_many_conditions_with_one_image_are_side_by_side():
    grid = nearest_grid([1] * 13, size_of([1] * 13))
    assert grid.columns == 1
    assert grid.across == 4
