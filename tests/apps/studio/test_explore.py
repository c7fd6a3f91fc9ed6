"""What the Explore tab shows, without a page."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio_models import Brightness, tiny_generator

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio.answers import SheetAnswer
from morphoscope.apps.studio.explore import Explore
from morphoscope.cohort.marked_files import file_provenance
from morphoscope.configs import UserError

CONDITIONS = ["dark", "pale", "red"]
VALUES: dict[str, Any] = {"a": "dark", "b": "pale", "c": "red", "seed": 5, "psi": 0.7, "layers": "coarse"}


@pytest.fixture(scope="module")
def explore(tmp_path_factory: pytest.TempPathFactory) -> Explore:
    folder: Path = tmp_path_factory.mktemp("explore")
    return Explore(Workbench(tiny_generator(folder, CONDITIONS), Brightness()))  # type: ignore[arg-type]


def image_of(answer: SheetAnswer, cell: int) -> np.ndarray:
    """An image of a sheet, uint8 [R, R, 3]."""
    sheet = np.asarray(Image.open(BytesIO(png(answer["sheet"]))))
    side = answer["resolution"]
    row, column = divmod(cell, answer["columns"])
    return sheet[row * side : (row + 1) * side, column * side : (column + 1) * side]


def png(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_wall_has_six_seeds_of_each_condition(explore: Explore) -> None:
    answer = explore.wall({**VALUES, "a": ""})
    assert len(answer["cells"]) == 18 and answer["columns"] == 6
    assert answer["cells"][7] == {
        "caption": "100% pale",
        "mark": explore.model.provenance({"pale": 1.0}, 6, 0.7).summary,
        "label": "100% pale",
        "seed": 6,
    }
    np.testing.assert_array_equal(image_of(answer, 7), explore.model.sample("pale", [6])[0])
    assert file_provenance(png(answer["sheet"])) is not None


def test_wall_of_one_condition_has_24_seeds(explore: Explore) -> None:
    answer = explore.wall(VALUES)
    assert [cell["seed"] for cell in answer["cells"]] == list(range(5, 29))


def test_triangle_has_the_corners_at_its_ends_and_a_condition_may_be_two_of_them(explore: Explore) -> None:
    answer = explore.triangle(VALUES)
    cells = answer["cells"]
    assert len(cells) == 45
    assert [cells[index]["caption"] for index in (0, 36, 44)] == ["100% dark", "100% pale", "100% red"]
    np.testing.assert_array_equal(image_of(answer, 44), explore.model.sample("red", [5])[0])
    twice = explore.triangle({**VALUES, "c": "dark"})
    assert twice["cells"][44]["caption"] == "100% dark"


def test_mixed_styles_stand_between_the_images_that_they_are_of(explore: Explore) -> None:
    answer = explore.mix(VALUES)
    assert len(answer["cells"]) == 25
    np.testing.assert_array_equal(image_of(answer, 5), explore.model.sample("dark", [5])[0])
    np.testing.assert_array_equal(image_of(answer, 1), explore.model.sample("pale", [9])[0])
    mixed = image_of(answer, 6)
    assert (mixed != image_of(answer, 5)).any() and (mixed != image_of(answer, 1)).any()
    shown = explore.shown({**VALUES, "kind": "mix", "cell": 6})
    np.testing.assert_array_equal(shown.image, mixed)


@pytest.mark.parametrize("group", ["coarse", "middle", "fine"])
def test_every_group_of_layers_changes_something(explore: Explore, group: str) -> None:
    answer = explore.mix({**VALUES, "layers": group})
    assert (image_of(answer, 6) != image_of(answer, 5)).any()


def test_directions_move_an_image_and_back(explore: Explore) -> None:
    start = explore.shown({**VALUES, "kind": "moved"})
    np.testing.assert_array_equal(start.image, explore.model.sample("dark", [5])[0])
    assert start.origin is not None and start.origin.seed == 5
    moved = explore.shown({**VALUES, "kind": "moved", "d2": 3})
    assert (moved.image != start.image).any()
    assert moved.origin is not None and moved.origin.seed is None  # the seed would give another image
    assert moved.origin.paths is not None and moved.origin.paths[0].ends[0].directions == [("2", 3.0)]
    assert explore.moved({**VALUES, "d2": 3})["name"] == "synthetic-100-dark.png"


def test_sample_is_the_image_of_the_sheet(explore: Explore) -> None:
    values = {"kind": "sample", "a": "50% dark + 50% red", "seed": 7, "psi": 0.7}
    answer = explore.picture(values)
    assert answer["name"] == "synthetic-50-dark+50-red-seed7.png"
    found = file_provenance(png(answer["picture"]))
    assert found is not None and found.label == {"dark": 0.5, "red": 0.5}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "all"}, "The field kind is 'all'; choose one of sample, mix, moved."),
        ({"kind": ["mix"]}, "The field kind is"),
        ({"kind": "mix", "layers": "deep"}, "The field layers is 'deep'"),
        ({"kind": "mix", "cell": 25}, "The field cell is 25: it takes numbers from 0 to 24."),
        ({"kind": "moved", "d1": 4}, "The field d1 is 4: it takes numbers from -3 to 3."),
        ({"kind": "sample", "a": "/etc/passwd"}, "Unknown condition"),
        ({"kind": "sample", "seed": 2**32 - 1}, "The field seed is 4294967295"),
        ({"kind": "sample", "psi": float("nan")}, "The field psi is nan"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(
    explore: Explore, values: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason.replace("[", "\\[")):
        explore.picture({**VALUES, **values})
