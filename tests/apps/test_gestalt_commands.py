"""`morphoscope gestalt …` as a user calls it, with phantom people."""

import numpy as np
import pandas as pd
import pytest
from phantom_faces import photograph

from morphoscope.classify.gestalt import Gallery, read_gallery
from morphoscope.cohort import Cohort, read_image, write_image

SECRET = "correct horse"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Six people with two images each stand for six patients of three syndromes; one image shows no face."""
    root = tmp_path_factory.mktemp("faces")
    rows = []
    for person in range(6):
        for shot in (0, 1):
            write_image(root / f"{person}-{shot}.png", photograph(person, shot))
            rows.append((f"{person}-{shot}.png", f"s{person % 3}", f"p{person}"))
    write_image(root / "wall.png", np.full((64, 64, 3), 128, np.uint8))
    rows.append(("wall.png", "s0", "nobody"))
    Cohort.from_rows(root, pd.DataFrame(rows, columns=["file", "condition", "group"])).save()
    return root


@pytest.fixture(scope="module")
def gallery_file(cohort, tmp_path_factory):
    """What `gestalt gallery` makes of it, with s0 as the unaffected; made once."""
    from typer.testing import CliRunner

    from morphoscope.apps.cli import app

    path = tmp_path_factory.mktemp("gallery") / "gallery.safetensors"
    words = ["gestalt", "gallery", str(cohort), "--output", str(path), "--unaffected", "s0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "biometric data" in result.output
    assert "wall.png" in result.output
    return path


def test_detect_lists_and_draws(command_line, tmp_path):
    write_image(tmp_path / "face.png", photograph(0))
    code, out, _ = command_line("gestalt", "detect", tmp_path / "face.png", "--output", tmp_path / "seen.png")
    assert code == 0
    assert "1 face" in out
    assert read_image(tmp_path / "seen.png").shape == (400, 400, 3)


def test_detect_says_that_there_is_none(command_line, tmp_path):
    write_image(tmp_path / "wall.png", np.full((64, 64, 3), 128, np.uint8))
    code, out, _ = command_line("gestalt", "detect", tmp_path / "wall.png")
    assert code == 0
    assert "0 faces" in out


def test_a_gallery_holds_no_image(gallery_file):
    gallery = read_gallery(gallery_file)
    assert isinstance(gallery, Gallery)
    assert len(gallery) == 12
    assert gallery.thumbnails is None
    assert gallery.unaffected == "s0"


def test_rank_prints_and_writes_a_table(command_line, gallery_file, tmp_path):
    write_image(tmp_path / "new.png", photograph(4, 2))
    words = ("gestalt", "rank", gallery_file, tmp_path / "new.png", "--output", tmp_path / "ranking.csv")
    code, out, _ = command_line(*words)
    assert code == 0
    assert "no diagnosis" in out
    code, _, err = command_line(*words, "--nearest", tmp_path / "near.png")
    assert code == 2
    assert "keeps no images" in err
    assert "Too few patients" in out
    table = pd.read_csv(tmp_path / "ranking.csv")
    assert table["syndrome"][0] == "s1"  # that of person 4
    assert len(table) == 3


def test_rank_says_that_a_photograph_is_in_the_gallery(command_line, gallery_file, cohort):
    code, out, _ = command_line("gestalt", "rank", gallery_file, cohort / "3-0.png")
    assert code == 0
    assert "in the gallery itself" in out
    assert "without a syndrome (s0)" in out


def test_rank_refuses_what_shows_no_face(command_line, gallery_file, cohort):
    code, _, err = command_line("gestalt", "rank", gallery_file, cohort / "wall.png")
    assert code == 2
    assert "No face" in err


def test_one_image_adds_a_syndrome(command_line, gallery_file, tmp_path):
    path = tmp_path / "more.safetensors"
    path.write_bytes(gallery_file.read_bytes())
    write_image(tmp_path / "new.png", photograph(7))
    words = ("gestalt", "add", path, tmp_path / "new.png", "--syndrome", "rare", "--patient", "p7")
    assert command_line(*words)[0] == 0
    assert "rare" in read_gallery(path).syndromes
    code, _, err = command_line(*words)
    assert code == 2
    assert "In the gallery already" in err


@pytest.fixture(scope="module")
def networks_file(cohort, tmp_path_factory):
    """Small networks for two regions, not trained on fold 1; made once. The cohort is beside their run."""
    from typer.testing import CliRunner

    from morphoscope.apps.cli import app

    root = tmp_path_factory.mktemp("networks")
    Cohort.load(cohort).split(folds=2, seed=0).save_as(root / "split")
    words = ["gestalt", "train", str(root / "split"), "--run", str(root / "run"), "--exclude-folds", "1"]
    words += ["--set", "regions=[eyes, nose]", "--set", "resolution=32", "--width", "0.1"]
    result = CliRunner().invoke(app, [*words, "--epochs", "2", "--batch", "4"])
    assert result.exit_code == 0, result.output
    assert "unseen patients" in result.output
    assert "top 1, nose alone" in result.output
    return root / "run" / "regions.safetensors"


def test_networks_rank_a_face(command_line, networks_file, cohort, tmp_path):
    words = ("gestalt", "rank", networks_file, cohort / "1-0.png")
    code, out, _ = command_line(*words, "--output", tmp_path / "ranking.csv")
    assert code == 0
    assert "gestalt score" in out and "no diagnosis" in out
    table = pd.read_csv(tmp_path / "ranking.csv")
    assert list(table.columns) == ["rank", "syndrome", "score", "eyes", "nose"]
    assert table["score"].sum() == pytest.approx(1, abs=1e-5)
    assert np.allclose(table[["eyes", "nose"]].mean(axis=1), table["score"], atol=1e-6)
    code, _, err = command_line(*words, "--nearest", tmp_path / "near.png")
    assert code == 2
    assert "--nearest: only for galleries" in err


def test_networks_are_evaluated_on_people_they_have_not_seen(command_line, networks_file, tmp_path):
    split = networks_file.parents[1] / "split"
    words = ("gestalt", "evaluate", networks_file)
    code, out, _ = command_line(*words, split, "--output", tmp_path / "accuracy.csv")
    assert code == 0
    unseen = Cohort.load(split).rows.query("fold == '1' and group != 'nobody'")
    assert f"{len(unseen)} images of {unseen['group'].nunique()} unseen patients" in out
    assert "since the networks have seen their patients" in out
    assert set(pd.read_csv(tmp_path / "accuracy.csv")["regions"]) == {"all", "eyes", "nose"}
    code, _, err = command_line(*words)
    assert code == 2
    assert "give a COHORT" in err


def test_evaluate_alike_and_map(command_line, gallery_file, tmp_path):
    code, out, _ = command_line("gestalt", "evaluate", gallery_file, "--output", tmp_path / "accuracy.csv")
    assert code == 0
    assert "all in all" in out
    assert set(pd.read_csv(tmp_path / "accuracy.csv")["top"]) == {1, 5, 10, 30}
    code, out, _ = command_line("gestalt", "alike", gallery_file, "--syndrome", "s1")
    assert code == 0
    assert "permutation test" in out
    assert command_line("gestalt", "map", gallery_file, "--output", tmp_path / "map.png")[0] == 0
    assert (tmp_path / "map.png").exists()


def test_explain_names_parts_and_draws(command_line, gallery_file, cohort, tmp_path):
    words = ("gestalt", "explain", gallery_file, cohort / "3-0.png", "--output", tmp_path / "map.png")
    code, out, _ = command_line(*words)
    assert code == 0
    assert "For s0 and against s" in out
    assert "forehead" in out
    assert read_image(tmp_path / "map.png").shape == (150, 150, 3)
    code, _, err = command_line(*words, "--syndrome", "unknown")
    assert code == 2
    assert "no syndrome 'unknown'" in err


def test_phantom_faces_of_phantom_people_and_of_a_cohort(command_line, cohort, tmp_path):
    words = ("cohort", "phantom-faces", tmp_path / "drawn", "--people", "7", "--images", "1")
    code, out, _ = command_line(*words)
    assert code == 0
    assert "wide mouth" in out
    assert (tmp_path / "drawn" / "phantom-faces.yaml").exists()
    code, out, _ = command_line("cohort", "phantom-faces", tmp_path / "warped", "--source", cohort)
    assert code == 0
    assert "which are left out: 1" in out
    assert len(Cohort.load(tmp_path / "warped")) == 12


def test_an_encrypted_gallery_with_thumbnails(command_line, cohort, tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="the extra encryption is not installed")
    few = Cohort.load(cohort)
    (tmp_path / "few").mkdir()
    for name in few.rows["file"][:2]:
        write_image(tmp_path / "few" / name, read_image(cohort / name))
    Cohort.from_rows(tmp_path / "few", few.rows[:2]).save()
    monkeypatch.setenv("MORPHOSCOPE_PASSPHRASE", SECRET)
    path = tmp_path / "g.safetensors"
    words = ("gestalt", "gallery", tmp_path / "few", "--output", path, "--encrypt", "--keep-thumbnails")
    code, _, err = command_line(*words)
    assert code == 2
    assert "consent" in err
    assert command_line(*words, "--consent", "phantoms")[0] == 0
    gallery = read_gallery(path, SECRET)
    assert gallery.thumbnails.shape == (2, 64, 64, 3)
    assert (
        command_line("gestalt", "rank", path, cohort / "0-0.png", "--nearest", tmp_path / "near.png")[0] == 0
    )
    assert (tmp_path / "near.png").stat().st_size > 1000
    words = ("gestalt", "add", path, cohort / "1-0.png", "--syndrome", "s1", "--patient", "p1")
    code, _, err = command_line(*words)
    assert code == 2
    assert "consent" in err
    assert command_line(*words, "--consent", "a phantom")[0] == 0
    assert read_gallery(path, SECRET).consent == "phantoms; a phantom"
    monkeypatch.setenv("MORPHOSCOPE_PASSPHRASE", "another secret")
    code, _, err = command_line("gestalt", "rank", path, cohort / "0-0.png")
    assert code == 2
    assert "passphrase is wrong" in err


def test_tune_shows_before_and_after_and_the_head_is_used(command_line, cohort, tmp_path):
    """Each photograph stands for a patient, since two syndromes of three families each are needed."""
    apart = Cohort.load(cohort)
    rows = apart.rows[apart.rows["group"] != "nobody"]
    for name in rows["file"]:
        write_image(tmp_path / "apart" / name, read_image(cohort / name))
    Cohort.from_rows(tmp_path / "apart", rows.assign(group=rows["file"])).save()
    path, tuned = tmp_path / "g.safetensors", tmp_path / "tuned.safetensors"
    assert command_line("gestalt", "gallery", tmp_path / "apart", "--output", path)[0] == 0
    words = ("gestalt", "tune", path, "--output", tuned, "--set", "steps=3")
    code, _, err = command_line(*words)
    assert code == 2
    assert "0 syndromes have 7 families or more" in err
    code, out, _ = command_line(*words, "--frequent", "4")
    assert code == 0
    assert "Before" in out and "After" in out
    assert "Not tested: 9 images of people whom the gallery's head was trained on" in out
    assert command_line("gestalt", "rank", tuned, cohort / "1-0.png")[0] == 0
    write_image(tmp_path / "new.png", photograph(6))
    add = ("gestalt", "add", tuned, tmp_path / "new.png", "--syndrome", "rare", "--patient", "p7")
    assert command_line(*add)[0] == 0
    assert read_gallery(tuned).head is not None
    assert read_gallery(tuned).trained.sum() == 9
    code, out, _ = command_line("gestalt", "evaluate", tuned, tmp_path / "apart")
    assert code == 2  # the same photographs
