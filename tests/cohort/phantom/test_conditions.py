"""The signs of each condition, and how they change from early to late."""

import cv2
import numpy as np
import pytest

from morphoscope.cohort.phantom.conditions import CONDITIONS, Finding, Traits
from morphoscope.cohort.phantom.sites import Scene, Site


def findings(condition: str, stage: float, *, site: str, seed: int = 0, size: int = 96) -> list[Finding]:
    """What a condition draws at a stage and site, with all other traits in the middle."""
    scene = Scene(Site.draw(np.random.default_rng(seed), site, "focused"), size)
    return CONDITIONS[condition].draw(np.random.default_rng([seed, 1]), Traits(0.5, 0.5, 0.5, stage), scene)


def changed(found: list[Finding]) -> float:
    """Mean change of optical density per pixel of the skin."""
    return float(sum((f.weight * (f.melanin + f.dermal + f.blood + f.loss)).mean() for f in found))


def over_seeds(condition: str, stage: float, site: str) -> list[list[Finding]]:
    return [findings(condition, stage, site=site, seed=seed) for seed in range(6)]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_weights_are_proportions_and_sites_have_probabilities(condition: str) -> None:
    presentation = CONDITIONS[condition]
    assert sum(presentation.sites.values()) == pytest.approx(1)
    for site in presentation.sites:
        for stage in (0.0, 0.5, 1.0):
            for finding in findings(condition, stage, site=site, size=48):
                assert finding.weight.shape == (48, 48) and finding.weight.dtype == np.float32
                assert finding.weight.min() >= 0 and finding.weight.max() <= 1
                assert finding.height is None or (finding.height >= -0.02).all()


@pytest.mark.parametrize(
    ("condition", "site"), [("HMI", "back"), ("MA", "back"), ("ML", "back"), ("NF1", "fold"), ("TSC", "face")]
)
def test_stages_are_ordered(condition: str, site: str) -> None:
    amounts = [
        np.mean([changed(found) for found in over_seeds(condition, stage, site)]) for stage in (0, 0.5, 1)
    ]
    assert amounts[0] < amounts[1] < amounts[2]


def test_incontinentia_is_first_red_with_blisters_then_brown_then_fading() -> None:
    early, middle, late = (over_seeds("IP", stage, "back") for stage in (0.0, 0.5, 1.0))
    assert all(len(found) == 2 and found[1].height is not None for found in early)
    assert all(len(found) == 1 for found in middle + late)
    assert early[0][0].blood > early[0][0].melanin
    assert middle[0][0].melanin > 2 * middle[0][0].blood
    assert late[0][0].melanin < middle[0][0].melanin


def test_neurofibromatosis_gains_freckles_and_then_neurofibromas() -> None:
    flat, freckled, late = (findings("NF1", stage, site="fold") for stage in (0.0, 0.45, 1.0))
    assert [len(found) for found in (flat, freckled, late)] == [1, 2, 3]
    assert late[2].height is not None and late[2].height.max() > 0.005
    sizes = [np.median(_areas(finding.weight)) for finding in freckled]
    assert sizes[0] > 10 * sizes[1]


def test_tuberous_sclerosis_shows_what_belongs_to_the_site() -> None:
    early, back, face = (
        findings("TSC", 0.0, site="back"),
        findings("TSC", 1.0, site="back"),
        findings("TSC", 1.0, site="face"),
    )
    assert len(early) == 1 and early[0].loss > 0
    assert len(back) == 3 and back[2].height is not None and back[2].loss == 0
    assert len(face) == 2 and face[1].height is not None and face[1].blood > 0.3


def test_the_patch_of_mccune_albright_is_more_ragged_than_those_of_neurofibromatosis() -> None:
    def raggedness(weight: np.ndarray) -> float:
        """Length of the outline over that of a disc of the same area."""
        contours, _ = cv2.findContours((weight >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        largest = max(contours, key=cv2.contourArea)
        return cv2.arcLength(largest, closed=True) / (2 * np.sqrt(np.pi * cv2.contourArea(largest)))

    coasts = {
        name: np.mean(
            [raggedness(findings(name, 0.0, site="back", seed=seed, size=256)[0].weight) for seed in range(6)]
        )
        for name in ("MA", "NF1")
    }
    assert coasts["MA"] > 1.4 * coasts["NF1"]


def _areas(weight: np.ndarray) -> np.ndarray:
    _, _, statistics, _ = cv2.connectedComponentsWithStats((weight >= 0.5).astype(np.uint8))
    return statistics[1:, cv2.CC_STAT_AREA]
