"""Imports of the table of ClassifyNF1: its folds, its diagnoses, and every bad row named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from morphoscope.cohort import import_classifynf1
from morphoscope.configs import UserError

Write = Callable[..., np.ndarray]


NF1_TABLE = """image_name,filepath,diagnosis,tfrecord,is_test,site
a,data/a.png,NF1,8,0,arm
b,data/b.png,NF1,22,0,leg
c,data/c.png,TSC,-1,1,leg
d,data/d.png,NV,2,0,arm
e,data/e.png,seborrheic keratosis,9,0,arm
f,data/f.png,MEL,-1,0,arm
"""


@pytest.mark.parametrize("files", ["abcde", "abcdef"])  # f is left out, so its file may be absent or not
def test_classifynf1(tmp_path: Path, write_pattern: Write, files: str) -> None:
    for seed, name in enumerate(files):
        write_pattern(tmp_path / f"in/{name}.png", seed=seed)
    (tmp_path / "in/train.csv").write_text(NF1_TABLE)
    rows = import_classifynf1(tmp_path / "in/train.csv", tmp_path / "out", view="panoramic").rows
    assert rows["image_name"].tolist() == list("abcde")
    assert rows["fold"].tolist() == ["0", "1", "test", "4", "3"]
    assert rows["condition"].tolist() == ["NF1", "NF1", "TSC", "nevus", "BKL"]
    assert rows["diagnosis"].tolist()[3:] == ["NV", "seborrheic keratosis"]
    assert rows["site"].tolist() == ["arm", "leg", "leg", "arm", "arm"]
    assert set(rows["view"]) == {"panoramic"}


def test_classifynf1_names_every_bad_row(tmp_path: Path, write_pattern: Write) -> None:
    write_pattern(tmp_path / "in/a.png")
    (tmp_path / "in/train.csv").write_text(
        "image_name,filepath,diagnosis,tfrecord,is_test\na,a.png,,x,0\nb,b.png,NF1,1,maybe\n"
    )
    with pytest.raises(UserError) as error:
        import_classifynf1(tmp_path / "in", tmp_path / "out")
    for part in ("a: tfrecord", "a: no diagnosis", "b: is_test", "b.png: absent"):
        assert part in str(error.value)
