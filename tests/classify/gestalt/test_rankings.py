"""Rankings, "none of these", sets, evaluation and likeness, on clusters whose truth is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from face_galleries import DIMENSIONS, clustered

from morphoscope.classify.gestalt import (
    Calibration,
    Gestalt,
    evaluate_gallery,
    face_map,
    measure_likeness,
)
from morphoscope.classify.gestalt.calibration import Scores
from morphoscope.classify.gestalt.encoders import unit
from morphoscope.classify.gestalt.map_figure import write_face_map
from morphoscope.classify.gestalt.nearest import image_distances, left_out_distances, syndrome_distances
from morphoscope.configs import UserError


def gestalt(gallery):
    return Gestalt(gallery, SimpleNamespace(name="an encoder", digest="e", template=None))


def far_away(seed=0):
    return unit(np.random.default_rng([9, seed]).normal(size=DIMENSIONS))


def test_the_nearest_image_ranks_its_syndrome():
    gallery = clustered(3, 2, 2)
    distances = image_distances(gallery.embeddings[:1], gallery)
    found = syndrome_distances(distances, gallery.labels, 3)
    expected = [distances[0, gallery.labels == label].min() for label in range(3)]
    assert np.array_equal(found[0], np.array(expected, np.float32))


def test_own_patients_and_families_are_left_out():
    gallery = clustered(2, 3, 2)
    alone = left_out_distances(gallery)
    others = gallery.patients != gallery.patients[0]
    direct = image_distances(gallery.embeddings[:1], gallery)[0]
    assert alone[0, 0] == direct[others & (gallery.labels == 0)].min()
    related = replace(gallery, entries=tuple(replace(entry, family="f") for entry in gallery.entries))
    assert np.isinf(left_out_distances(related)).all()


def test_a_ranking_names_the_syndrome_and_its_nearest_image():
    gallery = clustered()
    ranking = gestalt(gallery).rank_embedding(gallery.embeddings[9])
    best = ranking.syndromes[0]
    assert (best.syndrome, best.image, best.patients) == (gallery.entries[9].syndrome, 9, 4)
    assert best.distance == pytest.approx(0, abs=1e-6)
    assert [one.distance for one in ranking.syndromes] == sorted(one.distance for one in ranking.syndromes)
    assert ranking.none_of_these is False
    assert best.syndrome in ranking.prediction_set
    assert list(ranking.to_frame()["rank"]) == [1, 2, 3, 4, 5]


def test_a_syndrome_with_one_image_can_be_ranked():
    gallery = clustered(5, 4, 2)
    new = clustered(6, 1, 1, seed=5, prefix="new ")
    added = gallery.joined(new.select(new.labels == 5))
    near = unit(new.embeddings[5] + 0.02 * far_away())
    assert gestalt(added).rank_embedding(near).syndromes[0].syndrome == "s5"


def test_none_of_these():
    found = [gestalt(clustered(8, 6, 1)).rank_embedding(far_away(seed)).none_of_these for seed in range(20)]
    assert np.mean(found) > 0.8


def test_few_patients_are_not_calibrated():
    ranking = gestalt(clustered(3, 2, 2)).rank_embedding(far_away())
    assert ranking.none_of_these is None
    assert ranking.prediction_set is None
    assert ranking.syndromes[0].p is None
    one = gestalt(clustered(1, 12, 1)).rank_embedding(far_away())
    assert one.none_of_these is None
    assert len(one.syndromes) == 1


def test_another_encoder_and_an_empty_gallery_are_refused():
    with pytest.raises(UserError, match="made with the encoder"):
        gestalt(clustered(digest="f"))
    with pytest.raises(UserError, match="empty"):
        gestalt(clustered().select(np.zeros(40, bool)))


def test_p_values_weigh_patients_equally():
    scores = Scores.of(np.array([1.0, 1, 1, 3]), np.array(["a", "a", "a", "b"]))
    assert scores.p_values(np.array([0.5, 1.0, 2.0, 4.0])).tolist() == pytest.approx([1, 1, 2 / 3, 1 / 3])


def test_sets_cover_and_alarms_are_rare_for_new_patients():
    gallery = clustered(10, 12, 1, spread=0.9)
    new = clustered(10, 40, 1, spread=0.9, seed=3, prefix="new ")
    calibration = Calibration.fit(gallery)
    distances = syndrome_distances(image_distances(new.embeddings, gallery), gallery.labels, 10)
    own = calibration.syndrome_p(distances)[np.arange(len(new)), new.labels]
    assert 0.85 < (own > 0.1).mean() < 0.97
    assert (calibration.novelty_p(distances) < 0.05).mean() < 0.1
    assert calibration.detection.low < calibration.detection.value <= calibration.detection.high


def test_an_evaluation_has_the_protocols_of_gestaltmatcher():
    gallery = clustered(4, 8, 2).joined(_renamed(clustered(5, 3, 1, seed=7, prefix="rare "), 4))
    found = evaluate_gallery(gallery)
    names = [protocol.name for protocol in found.protocols]
    assert names == ["all in all", "frequent in frequent", "rare in rare", "frequent in all", "rare in all"]
    common = found.protocols[1]
    assert (common.syndromes, common.patients, common.images, common.candidates) == (4, 32, 64, 4)
    assert common.accuracy[1].value > 0.9
    assert common.chance == {1: 0.25, 5: 1.0, 10: 1.0, 30: 1.0}
    assert found.protocols[0].accuracy[30].value == 1
    assert len(found.to_frame()) == 20


def _renamed(gallery, first):
    """Only the syndromes from number `first`."""
    return gallery.select(gallery.labels >= first)


def test_a_test_set_must_be_apart():
    gallery = clustered(3, 4, 1)
    test = clustered(4, 2, 1, seed=4, prefix="new ")
    found = evaluate_gallery(gallery, test)
    assert found.not_tested == 2  # of s3, which the gallery lacks
    assert found.protocols[0].images == 6
    with pytest.raises(UserError, match="in both gallery and test"):
        evaluate_gallery(gallery, gallery.select(gallery.labels == 0))
    first, *others = test.entries
    moved = replace(test, entries=(replace(first, digest=gallery.entries[0].digest), *others))
    with pytest.raises(UserError, match="Photographs are in both"):
        evaluate_gallery(gallery, moved)
    with pytest.raises(UserError, match="embedded with"):
        evaluate_gallery(gallery, clustered(2, 1, 1, digest="f", prefix="new "))


def test_single_patients_cannot_be_evaluated():
    with pytest.raises(UserError, match="Nothing can be tested"):
        evaluate_gallery(clustered(4, 1, 2))


def test_unaffected_people_are_a_class():
    gallery = replace(clustered(4, 6, 1), unaffected="s0")
    found = evaluate_gallery(gallery)
    assert found.unaffected.value > 0.9
    assert evaluate_gallery(clustered(4, 6, 1)).unaffected is None


def test_patients_of_one_syndrome_are_alike():
    gallery = clustered(6, 4, 2)
    same = measure_likeness(gallery, [f"p0-{number}" for number in range(4)])
    mixed = measure_likeness(gallery, [f"p{number}-0" for number in range(4)])
    assert same.p < 0.01 < mixed.p
    assert same.mean < mixed.mean
    own = [gallery.embeddings[gallery.patients == name] for name in same.patients[:2]]
    assert same.to_frame().loc["p0-0", "p0-1"] == pytest.approx(1 - (own[0] @ own[1].T).mean(), abs=1e-5)


def test_likeness_refuses_what_cannot_be_compared():
    gallery = clustered(2, 3, 1)
    with pytest.raises(UserError, match="Not in the gallery: nobody"):
        measure_likeness(gallery, ["nobody", "p0-0"])
    with pytest.raises(UserError, match="at least two"):
        measure_likeness(gallery, ["p0-0"])
    kin = replace(gallery, entries=tuple(replace(entry, family="f") for entry in gallery.entries))
    with pytest.raises(UserError, match="one family"):
        measure_likeness(kin, ["p0-0", "p0-1"])


def test_the_map_places_a_face_among_the_others(tmp_path):
    gallery = clustered(3, 4, 1)
    places, own = face_map(gallery, gallery.embeddings[5])
    assert places.shape == (12, 2)
    assert np.allclose(own, places[5], atol=1e-6)
    write_face_map(tmp_path / "map.png", gallery, gallery.embeddings[5])
    assert (tmp_path / "map.png").stat().st_size > 1000
    with pytest.raises(UserError, match="at least three"):
        face_map(gallery.select(np.arange(12) < 2))
