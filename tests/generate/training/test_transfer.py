"""Starting from a snapshot: what is copied, matched by name, re-initialised, adopted and recorded."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import load, train_generator
from morphoscope.generate.snapshots import KIND, read_discriminator, read_generator, write_snapshot
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint


def train_on(config, cohort, folder, snapshot):
    """Train one batch with hardly any learning; return the snapshot and what was printed."""
    console = Console(file=io.StringIO(), width=1000)
    still = config.model_copy(update={"kimg": 0.004, "lr": 1e-9})
    path = train_generator(still, cohort, RunFolder(folder), start_from=snapshot, console=console)
    return path, console.file.getvalue()


def test_start_from_a_snapshot(tiny_config, tiny_cohort, tiny_snapshot, tmp_path):
    one_batch = tiny_config.model_copy(update={"kimg": 0.004, "lr": 1e-9})
    path = train_generator(one_batch, tiny_cohort, RunFolder(tmp_path), start_from=tiny_snapshot)
    before, after = load(tiny_snapshot), load(path)
    difference = np.abs(before.sample("dark", [0]).astype(int) - after.sample("dark", [0]).astype(int))
    assert difference.max() <= 1
    assert [ancestor.trained_on_folds for ancestor in after.metadata.started_from] == [["0", "1"]]
    assert after.metadata.trained_on_folds == ["0", "1", "2"]


def test_ancestors_are_kept_over_generations_and_over_a_resume(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path
):
    """Folds 0 and 1, then fold 2, then fold 0 again: all three count as trained on."""
    one_batch = tiny_config.model_copy(update={"kimg": 0.004})
    child = train_generator(
        one_batch, tiny_cohort, RunFolder(tmp_path / "b"), exclude_folds=["0", "1"], start_from=tiny_snapshot
    )
    grandchild = RunFolder(tmp_path / "c")
    first = train_generator(one_batch, tiny_cohort, grandchild, exclude_folds=["1", "2"], start_from=child)
    longer = tiny_config.model_copy(update={"kimg": 0.008})
    resumed = train_generator(longer, tiny_cohort, grandchild, exclude_folds=["1", "2"])  # no start_from
    link = {"cohort_digest": tiny_cohort.digest, "phantom": False}
    for path in (first, resumed):
        metadata = load(path).metadata
        assert [ancestor.model_dump() for ancestor in metadata.started_from] == [
            {**link, "trained_on_folds": ["0", "1", "2"]},
            {**link, "trained_on_folds": ["0", "1"]},
        ]
        assert metadata.trained_on_folds == ["0", "1", "2"]
    assert load(resumed).metadata.kimg == 0.008
    with pytest.raises(UserError, match="not started from this snapshot"):
        train_generator(longer, tiny_cohort, grandchild, exclude_folds=["1", "2"], start_from=tiny_snapshot)


def test_folds_of_an_ancestor_on_another_cohort_do_not_count(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path
):
    one_batch = tiny_config.model_copy(update={"kimg": 0.004})
    other = tiny_cohort.select(np.arange(len(tiny_cohort)) != 0)
    path = train_generator(
        one_batch, other, RunFolder(tmp_path), exclude_folds=["0", "1"], start_from=tiny_snapshot
    )
    metadata = load(path).metadata
    assert metadata.trained_on_folds == ["2"]
    assert metadata.started_from[0].cohort_digest == tiny_cohort.digest != metadata.cohort_digest


def test_starting_from_a_foreign_model_is_recorded_and_said(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path, caplog
):
    """In a warning, in the lineage, in the report; also after a resume."""
    tensors, metadata = read_checkpoint(tiny_snapshot, KIND)
    unknown = ("cohort_digest", "trained_on_folds", "started_from", "phantom", "images", "config")
    foreign = tmp_path / "foreign.safetensors"
    write_checkpoint(foreign, KIND, tensors, {k: v for k, v in metadata.items() if k not in unknown})
    path, _ = train_on(tiny_config, tiny_cohort, tmp_path / "run", foreign)
    assert "starts from a foreign model" in caplog.text
    longer = tiny_config.model_copy(update={"kimg": 0.008, "lr": 1e-9})
    for snapshot in (path, train_generator(longer, tiny_cohort, RunFolder(tmp_path / "run"))):
        found = load(snapshot).metadata
        assert [training.foreign for training in found.lineage] == [False, True]
        assert found.trained_on_folds == ["0", "1", "2"]
    assert "starting from a foreign model" in (tmp_path / "run" / "report.html").read_text()


def test_start_from_half_the_resolution(tiny_config, tiny_cohort, tiny_snapshot, tmp_path):
    """Progressive growing: the lower blocks come from the snapshot, the new ones are re-initialised."""
    larger = tiny_config.model_copy(update={"resolution": 32, "kimg": 0.004, "lr": 1e-9})
    console = Console(file=io.StringIO(), width=1000)
    path = train_generator(
        larger, tiny_cohort, RunFolder(tmp_path), start_from=tiny_snapshot, console=console
    )
    small, large = load(tiny_snapshot).G.synthesis, load(path).G.synthesis
    torch.testing.assert_close(large.b16.conv1.weight, small.b16.conv1.weight, rtol=0, atol=1e-6)
    listed = console.file.getvalue()
    assert "synthesis.b32.conv0" in listed
    assert "synthesis.b16.conv1" not in listed


def renamed(cohort, names):
    """The cohort with its conditions renamed; a name given as None drops the condition."""
    rows = cohort.rows[[names[name] is not None for name in cohort.rows["condition"]]]
    return Cohort.from_rows(cohort.root, rows.assign(condition=rows["condition"].map(names)))


def test_label_embeddings_are_matched_by_name(tiny_config, tiny_cohort, tiny_snapshot, tmp_path):
    """dark, pale -> pale, zebra: the embedding of pale moves to its new index."""
    other = renamed(tiny_cohort, {"dark": "zebra", "pale": "pale"})
    assert other.conditions == ["pale", "zebra"]
    path, printed = train_on(tiny_config, other, tmp_path, tiny_snapshot)
    for read in (lambda p: load(p).G, read_discriminator):
        before, after = read(tiny_snapshot).mapping.embed, read(path).mapping.embed
        torch.testing.assert_close(after.weight[:, 0], before.weight[:, 1], rtol=0, atol=1e-6)
        assert (after.weight[:, 1] - before.weight[:, 0]).abs().max() > 0.1
    assert "embedding of zebra" in printed
    assert "embedding of pale" not in printed


def test_conditions_of_the_snapshot_are_kept_in_a_longer_list(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path
):
    rows = tiny_cohort.rows.copy()
    rows.loc[rows.index[:6], "condition"] = "medium"
    longer = Cohort.from_rows(tiny_cohort.root, rows)
    path, printed = train_on(tiny_config, longer, tmp_path, tiny_snapshot)
    before, after = load(tiny_snapshot), load(path)
    assert after.conditions == ["dark", "medium", "pale"]
    difference = np.abs(before.sample("pale", [0]).astype(int) - after.sample("pale", [0]).astype(int))
    assert difference.max() <= 1
    assert "embedding of medium" in printed


def test_from_unconditional_to_conditional(tiny_config, tiny_cohort, tmp_path):
    """At first every condition gives the unconditional image; the label has no influence yet."""
    unconditional = tiny_config.model_copy(update={"conditional": False})
    first = train_generator(unconditional, tiny_cohort, RunFolder(tmp_path / "first"))
    model = load(first)
    assert model.conditions == ["all"]
    assert model.G.c_dim == 0
    path, printed = train_on(tiny_config, tiny_cohort, tmp_path / "second", first)
    image = model.sample("all", [5], psi=1.0).astype(int)
    for name in tiny_cohort.conditions:
        assert np.abs(load(path).sample(name, [5], psi=1.0).astype(int) - image).max() <= 1
    assert "mapping.embed" in printed
    assert "synthesis" not in printed


def test_a_transition_from_an_unconditional_snapshot_resumes(tiny_config, tiny_cohort, tmp_path):
    unconditional = tiny_config.model_copy(update={"conditional": False, "kimg": 0.004})
    first = train_generator(unconditional, tiny_cohort, RunFolder(tmp_path / "first"))
    transition = {"transition_start_kimg": 0.002, "transition_end_kimg": 0.02}
    config = tiny_config.model_copy(update={"kimg": 0.004, **transition})
    run = RunFolder(tmp_path / "second")
    train_generator(config, tiny_cohort, run, start_from=first)
    longer = config.model_copy(update={"kimg": 0.02})
    path = train_generator(longer, tiny_cohort, run)
    settings = load(path).metadata.config
    assert (settings["transition_start_kimg"], settings["transition_end_kimg"]) == (0.002, 0.02)
    assert settings["unconditional_output"]
    # Starting from that snapshot, no transition begins again, and D keeps its two outputs.
    third, printed = train_on(config, tiny_cohort, tmp_path / "third", path)
    settings = load(third).metadata.config
    assert (settings["transition_end_kimg"], settings["unconditional_output"]) == (None, True)
    assert "transition_end_kimg none (was 0.02)" in printed
    assert "out_unconditional" not in printed


def test_an_intermediate_stage_starts_as_the_mean_of_its_ends(tiny_config, tiny_cohort, tmp_path):
    rows = tiny_cohort.rows.copy()
    rows.loc[rows.index[:6], "condition"] = "medium"
    three = Cohort.from_rows(tiny_cohort.root, rows)
    config = tiny_config.model_copy(update={"kimg": 0.004, "stages": {"medium": ("dark", "pale")}})
    staged = train_generator(config, three, RunFolder(tmp_path / "staged"))
    path, _ = train_on(tiny_config, three, tmp_path / "free", staged)
    for read in (lambda p: load(p).G, read_discriminator):
        weight = read(path).mapping.embed.weight
        torch.testing.assert_close(weight[:, 1], (weight[:, 0] + weight[:, 2]) / 2, rtol=0, atol=1e-6)


def test_ada_kimg_is_adopted_only_if_the_config_does_not_set_it(tiny_config, tiny_cohort, tmp_path):
    plain = {name: value for name, value in tiny_config.model_dump().items() if name != "ada_kimg"}
    first = train_generator(
        GeneratorTraining(**plain | {"kimg": 0.004}), tiny_cohort, RunFolder(tmp_path / "first")
    )
    path, printed = train_on(GeneratorTraining(**plain), tiny_cohort, tmp_path / "second", first)
    assert load(path).metadata.config["ada_kimg"] == 100
    assert "ada_kimg 100 (was 500)" in printed
    chosen = GeneratorTraining(**plain | {"ada_kimg": 300})
    path, _ = train_on(chosen, tiny_cohort, tmp_path / "third", first)
    assert load(path).metadata.config["ada_kimg"] == 300


def test_the_architecture_comes_from_the_snapshot(tiny_config, tiny_cohort, tiny_snapshot, tmp_path):
    """Other settings are replaced and reported, also when the run resumes without the snapshot."""
    wider = tiny_config.model_copy(update={"channel_max": 16, "w_dim": 16, "mapping_layers": 4})
    path, printed = train_on(wider, tiny_cohort, tmp_path, tiny_snapshot)
    assert load(path).G.w_dim == 8
    assert "w_dim 8 (was 16)" in printed
    assert "channel_max 8 (was 16)" in printed
    longer = wider.model_copy(update={"kimg": 0.008, "lr": 1e-9})
    assert load(train_generator(longer, tiny_cohort, RunFolder(tmp_path))).metadata.kimg == 0.008


def test_a_snapshot_of_other_networks_is_refused(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path, monkeypatch
):
    """If the architecture were not adopted, too few tensors would match, which is an error."""
    monkeypatch.setattr(
        "morphoscope.generate.training.preparation.after_transfer", lambda config, *_: (config, [])
    )
    wider = tiny_config.model_copy(update={"channel_max": 6, "w_dim": 6})
    with pytest.raises(UserError, match="tensors of the generator match"):
        train_generator(wider, tiny_cohort, RunFolder(tmp_path), start_from=tiny_snapshot)


def test_the_noise_of_a_snapshot_ends_below_the_resolution_where_it_starts(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path
):
    """Also in the average, which is what is sampled."""
    network, _, metadata = read_generator(tiny_snapshot)
    for strength in network.synthesis.noise_strengths(below=32):
        strength.data.fill_(0.4)
    loud = tmp_path / "loud.safetensors"
    write_snapshot(loud, network, read_discriminator(tiny_snapshot), metadata)
    path, _ = train_on(tiny_config.model_copy(update={"noise_from": 16}), tiny_cohort, tmp_path / "run", loud)
    strengths = read_generator(path)[0].synthesis.noise_strengths(below=32)
    assert [round(strength.item(), 3) for strength in strengths] == [0, 0, 0, 0.4, 0.4]
