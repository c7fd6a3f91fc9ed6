"""A linear head over a gallery: ArcFace, who was trained on, and which encoder the gallery belongs to."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from face_galleries import DIMENSIONS, clustered
from phantom_faces import photograph

from morphoscope.classify.gestalt import (
    Calibration,
    Gestalt,
    Head,
    Labelled,
    enrol,
    evaluate_gallery,
    find_evidence,
    find_face,
    load_encoder,
    read_gallery,
    tune_gallery,
    with_head,
    write_gallery,
)
from morphoscope.classify.gestalt.encoders import finished
from morphoscope.classify.gestalt.evidence import _featureless
from morphoscope.classify.gestalt.head import unit
from morphoscope.classify.gestalt.tuning import train_head, with_margin, with_new_head
from morphoscope.configs import UserError
from morphoscope.configs.faces import HeadTuning

QUICK = HeadTuning(steps=60, frequent=6, learning_rate=0.02, pull=0.01)


def noisy(syndromes=6, patients=16, seed=0, prefix=""):
    """Syndromes in half of the dimensions, and much that has nothing to do with them in the others."""
    gallery = clustered(syndromes, patients, 1, spread=0.6, seed=seed, prefix=prefix)
    noise = np.random.default_rng([5, seed]).normal(size=(len(gallery), DIMENSIONS)) * 1.2
    noise[:, : DIMENSIONS // 2] = 0
    return replace(gallery, embeddings=unit(gallery.embeddings + noise / np.sqrt(DIMENSIONS) * 2))


def test_the_margin_is_added_to_the_own_angle_alone():
    angles = torch.tensor([[0.5, 1.0], [2.0, 0.3], [3.1, 1.0]])
    found = with_margin(angles.cos(), torch.tensor([0, 1, 0]), 0.2)
    assert torch.allclose(found[:2].acos(), torch.tensor([[0.7, 1.0], [2.0, 0.5]]), atol=1e-4)
    assert found[2, 0] < angles[2, 0].cos()  # beyond pi it still falls


def test_a_head_helps_for_syndromes_it_has_seen():
    gallery = noisy()
    before, after = tune_gallery(gallery, QUICK)
    assert np.array_equal(before.embeddings, gallery.embeddings)
    first, second = (evaluate_gallery(one).protocols[0] for one in (before, after))
    assert first.images == second.images == 24  # a quarter of 16 families of 6 syndromes
    assert second.accuracy[1].value > first.accuracy[1].value + 0.1
    assert evaluate_gallery(after).trained == 72


def test_without_steps_that_change_anything_the_head_is_the_identity():
    gallery = noisy()
    weights = train_head(gallery.embeddings, gallery.labels, QUICK.model_copy(update={"learning_rate": 1e-9}))
    assert np.allclose(weights, np.eye(DIMENSIONS), atol=1e-5)


def test_rare_syndromes_and_relatives_of_held_out_people_are_not_trained_on():
    rare = clustered(8, 2, 1, seed=7, prefix="rare ")
    gallery = noisy().joined(rare.select(rare.labels >= 6))
    family = tuple(replace(one, family=f"f{number // 2}") for number, one in enumerate(gallery.entries))
    _, after = tune_gallery(replace(gallery, entries=family), QUICK)
    assert not after.trained[gallery.labels >= 6].any()
    for one in set(after.kin):
        assert len(set(after.trained[after.kin == one])) == 1


def test_trained_people_do_not_calibrate():
    _, after = tune_gallery(noisy(), QUICK)
    assert Calibration.fit(after).patients == 24
    everybody = replace(after, head=Head(after.head.weights, frozenset(one.digest for one in after.entries)))
    assert Calibration.fit(everybody) is None
    with pytest.raises(UserError, match="whom the head was not trained on"):
        evaluate_gallery(everybody)


def test_photographs_that_a_head_was_trained_on_are_no_test():
    _, after = tune_gallery(noisy(), QUICK)
    rest = after.select(~after.trained)
    with pytest.raises(UserError, match="Photographs are in both"):
        evaluate_gallery(rest, after.select(after.trained))


def test_a_gallery_with_a_head_comes_back_and_belongs_to_it(tmp_path):
    gallery = noisy()
    _, after = tune_gallery(gallery, QUICK)
    write_gallery(tmp_path / "g.safetensors", after)
    again = read_gallery(tmp_path / "g.safetensors")
    assert np.array_equal(again.head.weights, after.head.weights)
    assert again.head.trained_on == after.head.trained_on
    assert again.encoder_digest == after.encoder_digest != gallery.encoder_digest
    with pytest.raises(UserError, match="cannot be compared"):
        again.joined(noisy(prefix="new "))
    with pytest.raises(UserError, match="has a head already"):
        tune_gallery(again, QUICK)


def test_a_head_that_does_not_fit_is_refused(tmp_path):
    gallery = noisy()
    head = Head(np.eye(DIMENSIONS + 1, dtype=np.float32), frozenset())
    write_gallery(tmp_path / "g.safetensors", replace(gallery, head=head))
    with pytest.raises(UserError, match="its head does not fit"):
        read_gallery(tmp_path / "g.safetensors")


def test_few_families_are_refused():
    with pytest.raises(UserError, match="0 syndromes have 6 families or more"):
        tune_gallery(clustered(5, 4, 2), QUICK)


def test_new_faces_are_embedded_with_the_head():
    """A gallery that gets a head without photographs is the one that photographs would give."""
    random = np.random.default_rng(0)
    weights = np.eye(128, dtype=np.float32) + 0.05 * random.normal(size=(128, 128)).astype(np.float32)
    head, encoder = Head(weights, frozenset()), load_encoder()
    photographs = [Labelled(photograph(one), f"s{one}", f"p{one}", "", f"{one}") for one in range(2)]
    known = with_new_head(enrol(photographs, encoder).gallery, head)
    direct = enrol(photographs, with_head(encoder, head)).gallery
    assert np.allclose(known.embeddings, direct.embeddings, atol=1e-6)
    assert (known.encoder, known.encoder_digest) == (direct.encoder, direct.encoder_digest)
    gestalt = Gestalt(known, encoder)  # the head comes with the gallery
    assert gestalt.rank(photograph(1)).syndromes[0].distance < 1e-5
    found = find_evidence(gestalt, find_face(photograph(1)))
    assert found.margin > 0
    seen = finished(gestalt.encoder, encoder.encode(np.stack([found.chip, _featureless(found.chip)])))
    own, base = (float(value) for value in seen @ (known.embeddings[1] - known.embeddings[0]))
    assert own == pytest.approx(found.margin, abs=1e-4)
    assert found.map.sum() == pytest.approx(own - base, abs=0.05 * abs(own - base) + 0.01)
