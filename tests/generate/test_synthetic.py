"""Synthetic cohorts and exported images: provenance and marks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile.limits import full_disk
from PIL import Image
from typer.testing import CliRunner

from morphoscope.apps.commands.generate import app
from morphoscope.cohort import Cohort
from morphoscope.cohort.marked_files import read_provenance
from morphoscope.cohort.marking import readably_marked
from morphoscope.configs import UserError
from morphoscope.configs.commands import Sampling
from morphoscope.configs.morphs import Morphing
from morphoscope.generate import Generator, GeneratorModel, augment, load
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.exports import write_samples
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.parsing import parse_ends
from morphoscope.generate.morph_files import write_morph
from morphoscope.generate.snapshots import write_snapshot

HOSTILE = ["../../up", "/tmp/absolute", "a/b", "a_b", "..", ".hidden", "A_B", "café (early)", "x" * 200]


def described(model, **changes):
    """The same weights with other metadata."""
    metadata = SnapshotMetadata.from_json(
        {**model.metadata.as_json(), **changes}, Path("generator.safetensors")
    )
    return GeneratorModel(model.G, model.class_means, metadata, model.digest)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A snapshot whose names of conditions look like paths."""
    torch.manual_seed(0)
    keywords = {
        "z_dim": 4,
        "c_dim": len(HOSTILE),
        "w_dim": 4,
        "img_resolution": 8,
        "img_channels": 3,
        "synthesis_kwargs": {"channel_base": 32, "channel_max": 4},
    }
    metadata = {
        "conditions": HOSTILE,
        "generator": keywords,
        "cohort_digest": "ab",
        "trained_on_folds": [],
        "phantom": True,
    }
    path = tmp_path_factory.mktemp("hostile") / "generator.safetensors"
    write_snapshot(path, Generator(**keywords), None, SnapshotMetadata.from_json(metadata, path))
    return path


@pytest.fixture(scope="module")
def model(tiny_snapshot):
    return load(tiny_snapshot)


def test_rows_record_their_provenance(model, tiny_cohort, tmp_path):
    augment(model, tmp_path / "synthetic", per_condition=3, seed=10, psi=0.9)
    cohort = Cohort.load(tmp_path / "synthetic")
    assert len(cohort) == 6
    assert set(cohort.rows["source"]) == {"synthetic"}
    assert set(cohort.rows["fold"]) == {""}
    assert cohort.rows["seed"].is_unique
    row = cohort.rows.iloc[0]
    assert row["generator"] == model.digest
    assert json.loads(row["label"]) == {row["condition"]: 1.0}
    assert json.loads(row["trained_on_folds"]) == ["0", "1"]
    assert row["trained_on_cohort"] == tiny_cohort.digest
    assert json.loads(row["ancestor_cohorts"]) == []
    assert float(row["psi"]) == 0.9
    assert row["view"] == "other"
    np.testing.assert_array_equal(cohort.image(0), model.sample(row["condition"], [int(row["seed"])], 0.9)[0])
    assert cohort.check().ok


def test_rows_record_the_view(tiny_snapshot, tmp_path):
    arguments = ["augment", str(tiny_snapshot), "--per-condition", "1", "--device", "cpu"]
    for view, options in {"panoramic": ["--view", "panoramic"], "other": []}.items():
        assert CliRunner().invoke(app, [*arguments, *options, str(tmp_path / view)]).exception is None
        assert set(Cohort.load(tmp_path / view).rows["view"]) == {view}
        assert f"view: {view}" in (tmp_path / view / "config.yaml").read_text()
    assert CliRunner().invoke(app, [*arguments, "--view", "side", str(tmp_path / "side")]).exit_code == 2
    assert not (tmp_path / "side").exists()


def test_every_image_is_marked_as_synthetic(model, tmp_path):
    augment(model, tmp_path / "cohort", per_condition=1)
    write_samples(model, tmp_path / "sample", Sampling(count=2))
    write_morph(model, tmp_path / "morph", parse_ends(["dark", "pale"], model, 0), Morphing(steps=3))
    images = list(tmp_path.rglob("*.png"))
    assert len(images) == 2 + (4 + 1) + (3 + 1)
    for path in images:
        marks = Image.open(path).text
        assert marks["Synthetic"].startswith("yes: made by a generator, not a photograph; may resemble")
        assert json.loads(marks["Morphoscope"])["generator"] == model.digest
    middle = read_provenance(Image.open(tmp_path / "morph" / "frame001.png"))
    path = LatentPath(End(0, {"dark": 1.0}), End(0, {"pale": 1.0}))
    expected = model.provenance({"dark": 0.5, "pale": 0.5}, seed=0, psi=0.7)
    assert middle == expected.model_copy(update={"paths": [path.mark([0.5])]})
    row = Cohort.load(tmp_path / "cohort").rows.iloc[0]
    of_row = read_provenance(Image.open(tmp_path / "cohort" / row["file"]))
    assert of_row is not None
    assert of_row.columns().items() <= row.to_dict().items()


def test_images_carry_a_printed_mark_on_request(model, tmp_path):
    arguments = {"psi": 0.7, "printed_mark": True}
    write_samples(model, tmp_path / "sample", Sampling(conditions=["dark"], count=1, **arguments))
    write_morph(
        model, tmp_path / "morph", parse_ends(["dark", "pale"], model, 0), Morphing(steps=2, **arguments)
    )
    provenance = model.provenance({"dark": 1.0}, seed=0, psi=0.7)
    expected = readably_marked(model.sample("dark", [0])[0], provenance)
    for file in ("sample/dark/seed0000.png", "morph/frame000.png"):
        with Image.open(tmp_path / file) as image:
            assert read_provenance(image).model_copy(update={"paths": None}) == provenance
            np.testing.assert_array_equal(np.asarray(image), expected)


def test_sheets_record_what_their_images_share(model, tmp_path):
    write_samples(model, tmp_path, Sampling(count=2, psi=0.5))
    write_morph(model, tmp_path, parse_ends(["dark", "pale"], model, 3), Morphing(steps=2, seed=3, psi=0.5))
    assert read_provenance(Image.open(tmp_path / "sheet.png")) == model.provenance(psi=0.5)
    path = LatentPath(End(3, {"dark": 1.0}), End(3, {"pale": 1.0}))
    expected = model.provenance(seed=3, psi=0.5).model_copy(update={"paths": [path.mark([0, 1])]})
    assert read_provenance(Image.open(tmp_path / "strip.png")) == expected


def test_images_of_a_stopped_run_are_kept(model, tmp_path, monkeypatch):
    settings = Sampling(conditions=["dark", "pale"], count=3)
    write_samples(model, tmp_path, settings)
    expected = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    (tmp_path / "dark/seed0001.png").unlink()
    (tmp_path / "pale/seed0000.png").write_bytes(expected[tmp_path / "dark/seed0000.png"])
    (tmp_path / "pale/seed0002.png").write_bytes(b"")
    generated, original = [], GeneratorModel.sample

    def counted(self, condition, seeds, *given):
        generated.extend((condition, seed) for seed in seeds)
        return original(self, condition, seeds, *given)

    monkeypatch.setattr(GeneratorModel, "sample", counted)
    write_samples(model, tmp_path, settings)
    assert generated == [("dark", 1), ("pale", 0), ("pale", 2)]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == expected
    write_samples(model, tmp_path, Sampling(conditions=["dark"], count=1, printed_mark=True))
    with Image.open(tmp_path / "dark/seed0000.png") as image:
        assert image.width == 384  # it was generated again, since the file had no printed mark


@pytest.mark.parametrize(("steps", "wide"), [(12, True), (30, False)])
def test_a_short_morph_is_one_row(model, tmp_path, steps, wide):
    with Image.open(
        write_morph(model, tmp_path, parse_ends(["dark", "pale"], model, 0), Morphing(steps=steps)).sheet
    ) as strip:
        assert (strip.width > 3 * strip.height) == wide


def test_samples_are_named_by_seed(model, tmp_path):
    write_samples(model, tmp_path, Sampling(conditions=["pale"], count=2, seed=7))
    assert sorted(p.name for p in (tmp_path / "pale").iterdir()) == ["seed0007.png", "seed0008.png"]


def test_a_folder_that_is_not_empty_is_refused(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt\). Choose a new or empty folder as DESTINATION"):
        augment(model, tmp_path, per_condition=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


class Stopping:
    """The images of a generator; counts them, and stops the program, as Ctrl-C does, after some of them."""

    def __init__(self, monkeypatch, after=None):
        self.images, self._after = 0, after
        original = GeneratorModel.stream

        def stream(model, condition, seeds, psi):
            for image in original(model, condition, seeds, psi):
                if self.images == self._after:
                    raise KeyboardInterrupt
                self.images += 1
                yield image

        monkeypatch.setattr(GeneratorModel, "stream", stream)


def contents(cohort):
    """What a cohort's folder holds, without hidden files."""
    files = [*cohort.glob("*.*"), *cohort.glob("images/*")]
    return {path.relative_to(cohort).as_posix(): path.read_bytes() for path in files if path.is_file()}


def test_a_stopped_augmentation_resumes_and_ends_with_the_same_files(model, tmp_path, monkeypatch):
    augment(model, tmp_path / "whole", per_condition=3)
    expected, stopped = contents(tmp_path / "whole"), tmp_path / "stopped"
    message = r"finished images are kept\. Re-run the command to resume\."
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match=message):
        Stopping(patch, after=4)
        augment(model, stopped, per_condition=3)
    kept = contents(stopped)
    assert len(kept) == 4 and kept.items() <= expected.items()
    with pytest.raises(UserError, match=r"manifest\.csv"):
        Cohort.load(stopped)
    (stopped / next(iter(kept))).write_bytes(b"damaged")
    again = Stopping(monkeypatch)
    augment(model, stopped, per_condition=3)
    assert again.images == 3  # the last two, and the damaged one
    assert contents(stopped) == expected
    augment(model, stopped, per_condition=3)
    assert again.images == 3


def test_a_stopped_augmentation_does_not_resume_with_other_arguments(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Stopping(patch, after=1)
        augment(model, tmp_path, per_condition=2)
    kept = contents(tmp_path)
    with pytest.raises(UserError, match=r"per_condition: 2 before, 3 now.* choose another DESTINATION\."):
        augment(model, tmp_path, per_condition=3)
    assert contents(tmp_path) == kept


def test_a_full_disk_keeps_whole_images(model, tmp_path):
    with full_disk(9_000), pytest.raises(UserError, match=r"manifest\.csv: cannot be written"):
        augment(model, tmp_path, per_condition=30)
    assert len(contents(tmp_path)) == 60
    assert len(augment(model, tmp_path, per_condition=30)) == 60


def test_seeds_that_run_out_of_range_are_refused_at_the_start(model, tmp_path):
    with pytest.raises(UserError, match="not int 4294967296"):
        augment(model, tmp_path / "cohort", per_condition=2, seed=2**32 - 3)
    with pytest.raises(UserError, match="not int 4294967296"):
        write_samples(model, tmp_path / "samples", Sampling(count=2, seed=2**32 - 1))
    assert list(tmp_path.iterdir()) == []


def test_unknown_condition_is_refused_before_anything_is_written(tiny_snapshot, tmp_path):
    settings = Sampling(conditions=["dark", "psoriasis"])
    with pytest.raises(UserError, match="psoriasis"):
        write_samples(load(tiny_snapshot), tmp_path / "samples", settings)
    arguments = ["sample", str(tiny_snapshot), "--condition", "psoriasis", "--run", str(tmp_path / "run")]
    assert isinstance(CliRunner().invoke(app, arguments).exception, UserError)
    assert list(tmp_path.iterdir()) == []


def test_ancestors_on_other_real_cohorts_are_recorded(model, tiny_cohort, tmp_path):
    own = {"cohort_digest": tiny_cohort.digest, "trained_on_folds": ["0"], "phantom": False}
    links = [
        own,
        {**own, "cohort_digest": "ff", "phantom": True},
        {**own, "cohort_digest": "cc"},
        {**own, "cohort_digest": "aa"},
    ]
    cohort = augment(described(model, started_from=links), tmp_path / "cohort", per_condition=1)
    assert [json.loads(cell) for cell in cohort.rows["ancestor_cohorts"]] == [["aa", "cc"]] * 2


def test_foreign_models_are_recorded(model, tiny_cohort, tmp_path):
    """By the word in place of a digest: of the generator itself, and of its ancestors."""
    link = {"trained_on_folds": ["0"], "phantom": False}
    for own, ancestors, expected in (
        (tiny_cohort.digest, [{}], (tiny_cohort.digest, ["foreign"])),
        (None, [{**link, "cohort_digest": "cc"}], ("foreign", ["cc"])),
    ):
        child = described(model, cohort_digest=own, started_from=ancestors)
        rows = augment(child, tmp_path / expected[0], per_condition=1).rows
        assert set(rows["trained_on_cohort"]) == {expected[0]}
        assert [json.loads(cell) for cell in rows["ancestor_cohorts"]] == [expected[1]] * 2


@pytest.mark.parametrize(("ancestor_is_phantom", "no_patient"), [(True, True), (False, False)])
def test_no_patient_is_promised_only_if_all_trainings_used_phantoms(
    model, tmp_path, ancestor_is_phantom, no_patient
):
    link = {"cohort_digest": "ff", "trained_on_folds": [], "phantom": ancestor_is_phantom}
    heir = described(model, phantom=True, started_from=[link])
    cohort = augment(heir, tmp_path / "cohort", per_condition=1)
    mark = Image.open(cohort.root / cohort.rows["file"][0]).text["Synthetic"]
    assert mark.startswith("yes")
    assert ("no patient" in mark) == no_patient
    assert set(cohort.rows["phantom"]) == {str(no_patient).lower()}


def test_conditions_that_look_like_paths_stay_in_the_folder(hostile, tmp_path):
    folder, model = tmp_path / "a" / "b" / "c", load(hostile)
    stems = [model.file_stem(name) for name in HOSTILE]
    assert len({stem.casefold() for stem in stems}) == len(HOSTILE)
    cohort = augment(model, folder / "cohort", per_condition=2)
    assert len(cohort) == len(set(cohort.rows["file"])) == 2 * len(HOSTILE)
    assert cohort.conditions == sorted(HOSTILE)
    write_samples(model, folder / "samples", Sampling(count=1))
    assert sorted(path.name for path in (folder / "samples").iterdir()) == sorted([*stems, "sheet.png"])
    write_morph(model, folder / "morph", parse_ends(HOSTILE[:2], model, 0), Morphing(steps=2))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c"]


def test_default_run_folder_of_a_morph_stays_under_runs(hostile, tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    result = CliRunner().invoke(app, ["morph", str(hostile), *HOSTILE[:2], "--steps", "2", "--device", "cpu"])
    assert result.exception is None
    assert [path.name for path in Path("runs").iterdir()] == ["00000-morph-_._.._up~0-_tmp_absolute~1"]
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


@pytest.mark.parametrize("weight", [float("nan"), 1e38])
def test_nothing_is_written_from_values_that_are_not_numbers(tiny_snapshot, tmp_path, weight) -> None:
    """A cohort of black images was written, with exit code 0. 1e38 overflows within the network."""
    model = load(tiny_snapshot)
    for parameter in model.G.synthesis.parameters():
        parameter.fill_(weight)
    with pytest.raises(UserError, match="values that are not numbers"):
        augment(model, tmp_path / "synthetic", per_condition=2)
    assert list(tmp_path.iterdir()) == []
