"""Exports hold the cohort's images and labels, and import again."""

import json
import zipfile
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.cohort import (
    Cohort,
    Provenance,
    export_dataset_json,
    export_folders,
    import_dataset_json,
    import_folder,
    phantom,
)
from morphoscope.cohort.marked_files import file_provenance, write_synthetic_image
from morphoscope.configs import UserError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return phantom(tmp_path_factory.mktemp("exports") / "phantoms", per_condition=2, size=48)


def test_folders_hold_the_same_files_under_their_conditions(drawn, tmp_path):
    export_folders(drawn, tmp_path / "plain")
    again = import_folder(tmp_path / "plain", tmp_path / "cohort")
    assert len(again) == len(drawn)
    for condition in drawn.conditions:
        pixels = {drawn.image(i).tobytes() for i in np.flatnonzero(drawn.rows["condition"] == condition)}
        found = {again.image(i).tobytes() for i in np.flatnonzero(again.rows["condition"] == condition)}
        assert found == pixels


@pytest.mark.parametrize("name", ["set.zip", "set"])
def test_a_dataset_json_comes_back_with_its_labels(drawn, tmp_path, name):
    export_dataset_json(drawn, tmp_path / name, 32)
    again = import_dataset_json(tmp_path / name, tmp_path / "cohort")
    assert list(again.rows["condition"]) == list(drawn.rows["condition"])
    assert np.array_equal(again.images(32), drawn.images(32))


def test_the_zip_is_as_stylegans_tools_read_it(drawn, tmp_path):
    export_dataset_json(drawn, tmp_path / "set.zip", 32)
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        labels = json.loads(archive.read("dataset.json"))["labels"]
        assert labels[0] == ["00000/img00000000.png", drawn.conditions.index(drawn.rows["condition"][0])]
        with Image.open(BytesIO(archive.read(labels[0][0]))) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))


def test_synthetic_images_stay_marked(tmp_path):
    provenance = Provenance(
        generator="0123456789abcdef", phantoms_only=True, label={"NF1": 1.0}, seed=3, psi=1.0
    )
    folder = tmp_path / "synthetic"
    folder.mkdir()
    write_synthetic_image(folder / "a.png", np.full((40, 40, 3), 90, np.uint8), provenance)
    row = {
        "file": "a.png",
        "condition": "NF1",
        "group": "synthetic-1",
        "view": "other",
        "source": "synthetic",
    }
    cells = {"trained_on_folds": "[]", "trained_on_cohort": "ab", "ancestor_cohorts": "[]"}
    cohort = Cohort.from_rows(folder, pd.DataFrame([row | cells | provenance.columns()]))
    export_folders(cohort, tmp_path / "plain")
    assert file_provenance((tmp_path / "plain" / "NF1" / "000000.png").read_bytes()) == provenance
    export_dataset_json(cohort, tmp_path / "set", 16)
    assert file_provenance((tmp_path / "set" / "00000" / "img00000000.png").read_bytes()) == provenance


@pytest.mark.parametrize("resolution", [48, 2, 2048])
def test_a_resolution_that_stylegan_does_not_take_is_refused(drawn, tmp_path, resolution):
    with pytest.raises(UserError, match="powers of two from 4 to 1024"):
        export_dataset_json(drawn, tmp_path / "set", resolution)
    assert not list(tmp_path.iterdir())


def test_what_exists_is_kept(drawn, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"mine")
    with pytest.raises(UserError, match="already exists"):
        export_dataset_json(drawn, tmp_path / "set.zip", 32)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a").write_bytes(b"mine")
    with pytest.raises(UserError, match="already exists"):
        export_folders(drawn, tmp_path / "plain")
