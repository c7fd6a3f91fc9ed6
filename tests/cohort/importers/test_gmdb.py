"""GMDB's tables: labels, subjects, splits and names of syndromes, and what is refused."""

import numpy as np
import pytest

from morphoscope.cohort import import_gmdb, write_image
from morphoscope.configs import UserError

TRAIN = "image_id,subject,label\n1,10,0\n2,10,0\n3,11,1\n"
TEST = "image_id,subject,label\n4,12,0\n5,13,1\n"
RARE = "image_id,subject,label,split\n6,14,2,0\n6,14,2,1\n"
SYNDROMES = "syndrome_id\tsyndrome_name\tomim_id\n0\tKabuki\t147920\n1\tNoonan\t163950\n2\tRare\t\n"


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "gmdb"
    tables = root / "gmdb_metadata"
    tables.mkdir(parents=True)
    (tables / "gmdb_train_images_v1.0.3.csv").write_text(TRAIN)
    (tables / "gmdb_frequent_test_images_v1.0.3.csv").write_text(TEST)
    (tables / "gmdb_rare_gallery_images_v1.0.3.csv").write_text(RARE)
    (tables / "gmdb_syndromes_v1.0.3.tsv").write_text(SYNDROMES)
    (tables / "image_metadata_v1.0.3.tsv").write_text("image_id\tsex\n1\tf\n6\tm\n")
    for number in range(1, 7):
        pixels = np.full((8, 8, 3), 20 * number, np.uint8)
        write_image(root / "gmdb_align" / f"{number}_rot_aligned.png", pixels)
    return root


def test_tables_become_a_manifest(source, tmp_path):
    cohort = import_gmdb(source, tmp_path / "cohort")
    rows = cohort.rows.set_index("image_id").sort_index()
    assert list(rows["condition"]) == ["Kabuki", "Kabuki", "Noonan", "Kabuki", "Noonan", "Rare"]
    assert list(rows["group"]) == ["10", "10", "11", "12", "13", "14"]
    assert list(rows["fold"]) == ["", "", "", "test", "test", ""]
    assert set(rows["view"]) == {"face"}
    assert rows.loc["1", "omim_id"] == "147920"
    assert list(rows["sex"]) == ["f", "", "", "", "", "m"]
    assert cohort.image(list(cohort.rows["image_id"]).index("6"))[0, 0, 0] == 120


def test_without_names_the_numbers_are_kept(source, tmp_path):
    (source / "gmdb_metadata" / "gmdb_syndromes_v1.0.3.tsv").unlink()
    assert import_gmdb(source, tmp_path / "cohort").conditions == ["syndrome 0", "syndrome 1", "syndrome 2"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no tables", "no table gmdb_"),
        ("two versions", "one version"),
        ("no subject", "no column subject"),
        ("absent image", "image 4: absent"),
        ("two images", "image 4: ambiguous"),
        ("two labels", "image 1: listed with several"),
        ("unknown label", "label 9: not in the table"),
    ],
)
def test_what_does_not_fit_is_named(source, tmp_path, damage, message):
    tables, aligned = source / "gmdb_metadata", source / "gmdb_align"
    train, image = tables / "gmdb_train_images_v1.0.3.csv", aligned / "4_rot_aligned.png"
    if damage == "no tables":
        for path in tables.iterdir():
            path.unlink()
    elif damage == "two versions":
        (tables / "gmdb_train_images_v1.1.0.csv").write_text(TRAIN)
    elif damage == "no subject":
        train.write_text(TRAIN.replace("subject", "person"))
    elif damage == "absent image":
        image.unlink()
    elif damage == "two images":
        (source / "crops").mkdir()
        (source / "crops" / "4.png").write_bytes(image.read_bytes())
    elif damage == "two labels":
        train.write_text(TRAIN + "1,10,1\n")
    else:
        train.write_text(TRAIN + "7,11,9\n")
        write_image(aligned / "7.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=message):
        import_gmdb(source, tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()
