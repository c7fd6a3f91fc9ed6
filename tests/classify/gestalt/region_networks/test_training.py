"""Training on crops whose label is easy to see: resuming, the file, starting from other networks."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from morphoscope.classify.gestalt.region_networks import (
    Question,
    RegionNetworks,
    RegionTrainingRun,
    are_region_networks,
    evaluate_region_networks,
)
from morphoscope.classify.gestalt.region_networks import evaluation as evaluation_module
from morphoscope.classify.gestalt.region_networks import training as training_module
from morphoscope.classify.gestalt.region_networks.faces import FaceCrops
from morphoscope.classify.training.fold import Trainer
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError
from morphoscope.configs.faces import RegionTraining
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint

SETTINGS = {
    "regions": ["eyes", "mouth"], "resolution": 32, "width": 0.1, "epochs": 20, "batch": 3,
    "learning_rate": 3e-3, "mirror": False,
}  # fmt: skip
LABELS = ("a", "b", "c")


def striped(label, noise):
    """A crop with horizontal stripes, vertical ones, or none: labels 0, 1 and 2."""
    image = np.random.default_rng([3, noise]).normal(100, 10, (32, 32, 1))
    stripes = 60 * (np.arange(32) % 6 < 3)
    image += {0: stripes[:, None, None], 1: stripes[None, :, None], 2: 30}[label]
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def painted(monkeypatch):
    """Faces are not looked for: the crops of a row show its label as stripes, whatever the region."""

    def of(cohort, rows, regions, size, keep_flagged):
        labels = cohort.rows["condition"].iloc[rows].map(LABELS.index)
        crops = [
            [striped(label, 10 * row + place) for place in range(len(regions))]
            for row, label in zip(rows, labels, strict=True)
        ]
        return FaceCrops(np.array(crops, np.uint8), np.asarray(rows, np.int64), {}, {})

    for module in (training_module, evaluation_module):
        monkeypatch.setattr(module.FaceCrops, "of", of)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """24 patients of three syndromes in three folds; fold 2 is the test fold."""
    root, rows = tmp_path_factory.mktemp("painted"), []
    for number in range(24):
        write_image(root / f"{number}.png", np.full((4, 4, 3), number, np.uint8))
        fold = ("0", "1", "test")[number // 3 % 3]
        rows.append((f"{number}.png", LABELS[number % 3], f"p{number}", fold, f"g{number % 2}"))
    columns = ["file", "condition", "group", "fold", "gene"]
    return Cohort.from_rows(root, pd.DataFrame(rows, columns=columns))


def train(cohort, run, start_from=None, exclude=("1",), question=Question(), **changes):
    config = RegionTraining(**{**SETTINGS, **changes})
    made = RegionTrainingRun(config, cohort, question, exclude_folds=exclude, start_from=start_from)
    return made.train(RunFolder(run))


@pytest.fixture(scope="module")
def trained(cohort, tmp_path_factory):
    """The run folder of a whole training; made once."""
    run = tmp_path_factory.mktemp("run") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        painted.__wrapped__(patch)
        train(cohort, run)
    return run


def test_networks_learn_what_is_easy_to_see(cohort, trained):
    model = RegionNetworks.load(trained / "regions.safetensors", "cpu")
    found = evaluate_region_networks(model, cohort)  # its test fold
    assert found.protocol.accuracy[1].value == 1
    assert found.protocol.accuracy[1].low < 1
    assert (found.protocol.images, found.protocol.patients, found.known, found.foreign) == (6, 6, 0, 0)
    assert set(found.regions) == {"eyes", "mouth"}
    assert (found.predictions["answer"] == found.predictions["label"]).all()
    assert (found.predictions["rank"] == 1).all()
    assert len(found.to_frame()) == 6


def test_the_run_folder_has_the_excluded_fold_and_a_line_per_epoch(trained):
    table = pd.read_csv(trained / "held-out" / "accuracy.csv")
    assert list(table.columns) == ["regions", "top", "accuracy", "low", "high", "chance", "p"]
    predictions = pd.read_csv(trained / "held-out" / "predictions.csv")
    assert set(predictions["patient"]) == {f"p{number}" for number in (3, 4, 5, 12, 13, 14, 21, 22, 23)}
    lines = [json.loads(line) for line in (trained / "stats.jsonl").read_text().splitlines()]
    assert [(line["region"], line["epoch"]) for line in lines] == [
        (region, epoch) for region in ("eyes", "mouth") for epoch in range(1, 21)
    ]
    assert "balanced_accuracy" in lines[0]


def test_the_score_is_the_mean_of_the_regions(cohort, trained):
    model = RegionNetworks.load(trained / "regions.safetensors", "cpu")
    crops = np.array([[striped(1, 7), striped(1, 8)], [striped(0, 9), striped(2, 10)]], np.uint8)
    found = model.probabilities(crops)
    assert found.shape == (2, 2, 3)
    assert np.allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert found.mean(axis=0)[0].argmax() == 1
    one = model.probabilities(crops[1:])
    assert np.allclose(one[:, 0], found[:, 1], atol=1e-5)  # no network sees the others of a batch


def test_the_file_describes_itself(cohort, trained):
    path = trained / "regions.safetensors"
    metadata = RegionNetworks.load(path, "cpu").metadata
    assert are_region_networks(path)
    assert not are_region_networks(trained / "regions" / "eyes.safetensors")
    assert not are_region_networks(trained / "stats.jsonl")
    assert metadata.syndromes == ["a", "b", "c"]
    assert metadata.images == metadata.patients == {"a": 3, "b": 3, "c": 3}
    assert metadata.excluded_folds == ["1"]
    assert set(metadata.seen_images) == {
        one for one, fold in zip(cohort.image_hashes, cohort.rows["fold"], strict=True) if fold == "0"
    }
    assert b"no diagnosis" in path.read_bytes()


def test_a_training_resumes_to_the_same_networks(cohort, trained, tmp_path, monkeypatch):
    fit, calls = Trainer.fit, []

    def stops_in_the_second(self, state_file, interruption, listener):
        calls.append(self.name)
        if calls == ["eyes", "mouth"]:
            listener_epoch = listener.epoch

            def epoch(*words, **values):
                listener_epoch(*words, **values)
                interruption.requested = True

            listener.epoch = epoch
        return fit(self, state_file, interruption, listener)

    monkeypatch.setattr(Trainer, "fit", stops_in_the_second)
    with pytest.raises(
        KeyboardInterrupt, match=r"Stopped in region mouth after epoch 1 of 20\. Re-run .*--run"
    ):
        train(cohort, tmp_path / "cut")
    assert (tmp_path / "cut" / "regions" / "mouth.state.pt").exists()
    train(cohort, tmp_path / "cut")
    assert calls == ["eyes", "mouth", "mouth"]
    whole, resumed = (read_checkpoint(run / "regions.safetensors", "face region networks")[0]
                      for run in (trained, tmp_path / "cut"))  # fmt: skip
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert not (tmp_path / "cut" / "regions" / "mouth.state.pt").exists()


def test_another_training_in_the_same_folder_is_refused(cohort, trained):
    with pytest.raises(UserError, match="exclude folds"):
        train(cohort, trained, exclude=("0",))
    with pytest.raises(UserError, match="epochs: 20 before, 21 now"):
        train(cohort, trained, epochs=21)


def test_a_training_starts_from_other_networks(cohort, trained, tmp_path, caplog):
    start = trained / "regions.safetensors"
    identities = {"question": Question("gene"), "start_from": start, "regions": ["mouth"], "epochs": 1}
    model, _ = train(cohort, tmp_path / "next", learning_rate=1e-9, weight_decay=0, **identities)
    first = RegionNetworks.load(start, "cpu").networks["mouth"].body[0].weight
    assert torch.allclose(model.networks["mouth"].body[0].weight, first, atol=1e-6)
    assert model.metadata.syndromes == ["g0", "g1"]
    assert len(model.metadata.started_from) == 16
    assert "3 steps per region are few" in caplog.text
    with pytest.raises(UserError, match=r"give --width 0\.1"):
        train(cohort, tmp_path / "wide", **{**identities, "width": 0.2})
    with pytest.raises(UserError, match="has no network for nose"):
        train(cohort, tmp_path / "nose", **{**identities, "regions": ["nose"]})
    with pytest.raises(UserError, match="were trained on people in a fold that is held out"):
        train(cohort, tmp_path / "leak", exclude=("0",), **identities)
    assert not (tmp_path / "leak").exists() or not any((tmp_path / "leak").iterdir())


def test_an_experiment_is_kept_for_its_evaluation(cohort, tmp_path):
    """One syndrome against the rest: the file knows the question, and other labels follow from it."""
    model, found = train(cohort, tmp_path / "one", question=Question(against_rest="b"))
    assert model.metadata.syndromes == ["b", "others"]
    assert found.protocol.candidates == 2
    assert 0 < found.p < 0.2
    again = RegionNetworks.load(tmp_path / "one" / "regions.safetensors", "cpu")
    assert evaluate_region_networks(again, cohort).protocol.accuracy[1].value == 1
    table = pd.read_csv(tmp_path / "one" / "held-out" / "accuracy.csv")
    assert table["p"].notna().tolist() == [True] + [False] * 5


def test_people_whom_the_networks_have_seen_are_not_tested(cohort, trained):
    model = RegionNetworks.load(trained / "regions.safetensors", "cpu")
    found = evaluate_region_networks(model, cohort, np.arange(len(cohort)))
    assert (found.protocol.images, found.known) == (15, 9)
    with pytest.raises(UserError, match="no image to test; the networks have seen the people of 9 images"):
        evaluate_region_networks(model, cohort, np.flatnonzero(cohort.rows["fold"] == "0"))


def test_one_label_is_refused_and_leaves_no_run_folder(cohort, tmp_path):
    alone = cohort.select(cohort.rows["condition"] == "a")
    with pytest.raises(UserError, match="1 label"):
        train(alone, tmp_path / "one")
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("damage", ["tensor", "metadata", "kind"])
def test_a_damaged_file_is_refused(trained, tmp_path, damage):
    tensors, metadata = read_checkpoint(trained / "regions.safetensors", "face region networks")
    if damage == "tensor":
        tensors["eyes/head.weight"] = torch.zeros(1, 1)
    elif damage == "metadata":
        metadata["syndromes"] = ["a"]
    kind = "generator" if damage == "kind" else "face region networks"
    write_checkpoint(tmp_path / "bad.safetensors", kind, tensors, metadata)
    with pytest.raises(UserError, match=r"bad\.safetensors"):
        RegionNetworks.load(tmp_path / "bad.safetensors", "cpu")


def test_settings_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="named twice"):
        RegionTraining(regions=["eyes", "eyes"])
    with pytest.raises(ValueError, match="more than the batch"):
        RegionTraining(batch=4, micro_batch=8)
