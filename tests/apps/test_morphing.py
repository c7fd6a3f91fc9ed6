"""Morphs and what the classifier predicts along them, without a page."""

import numpy as np
import pytest
from studio_models import CONDITIONS, MORPH, prediction, workbench

from morphoscope.apps.morphing import COARSE_FRAMES, FRAMES, Curve, Morph, NoLongerWantedError, Workbench
from morphoscope.generate.latents import End, ProjectedPhotograph


@pytest.fixture
def bench() -> Workbench:
    return workbench()


def test_coarse_frames_run_from_one_end_to_the_other(bench: Workbench) -> None:
    film = bench.coarse(MORPH)
    assert film.ratios.tolist() == np.linspace(0, 1, COARSE_FRAMES).tolist()
    assert film.images.shape == (COARSE_FRAMES, 16, 16, 3)
    assert film.images[[0, -1], 0, 0, 0].tolist() == [0, 255]
    assert bench.captions(film)[2] == "75% dark + 25% pale"
    assert bench.ensemble.asked == 0  # type: ignore[attr-defined]


def test_curve_runs_from_one_condition_to_the_other(bench: Workbench) -> None:
    curve = bench.curve(MORPH)
    assert curve.ratios[[0, -1]].tolist() == [0, 1]
    assert curve.prediction.combined.shape == (FRAMES, 2)
    assert (np.diff(curve.prediction.per_fold[0, :, 1]) >= 0).all()
    (change,) = curve.changes()
    assert (change.before, change.after) == ("dark", "pale")
    assert 0.5 <= curve.ratios[change.last] <= curve.ratios[change.first] <= 0.75


def test_curve_is_computed_once(bench: Workbench) -> None:
    first = bench.curve(MORPH)
    assert bench.curve(Morph.between("dark", "pale", seed=3, psi=0.7)) is first
    assert bench.ensemble.asked == 1  # type: ignore[attr-defined]
    bench.curve(Morph.between("dark", "pale", seed=4, psi=0.7))
    assert bench.ensemble.asked == 2  # type: ignore[attr-defined]


def test_changes_leave_out_frames_at_which_no_model_is_sure() -> None:
    found = prediction([[0.1, 0.5, 0.5, 0.9, 0.5, 0.8]])
    curve = Curve(MORPH, np.linspace(0, 1, 6), np.zeros((6, 2, 2, 3), np.uint8), found)
    assert curve.answers() == ["dark", None, None, "pale", None, "pale"]
    assert [(change.last, change.first) for change in curve.changes()] == [(0, 3)]


def test_even_steps_change_the_image_equally_much(bench: Workbench) -> None:
    """The grey level is squared here: with evenly spaced ratios the last step is 47 times the first one."""
    plain = bench.generator.G.mapping
    bench.generator.G.mapping = lambda z, c: plain(z, c) ** 2 / 255  # type: ignore[method-assign]
    even = bench.curve(Morph.between("dark", "pale", 3, 1.0, even=True))
    steps = np.diff(even.images[:, 0, 0, 0].astype(float))
    assert even.ratios[[0, -1]].tolist() == [0, 1]
    assert steps.max() <= 1.6 * steps.min()


def test_morph_without_any_change_keeps_its_ratios(bench: Workbench) -> None:
    curve = bench.curve(Morph.between("dark", "dark", 3, 0.7, even=True))
    assert curve.ratios.tolist() == np.linspace(0, 1, FRAMES).tolist()
    assert curve.changes() == []


def test_what_is_no_longer_wanted_is_not_computed(bench: Workbench) -> None:
    with pytest.raises(NoLongerWantedError):
        bench.curve(MORPH, lambda: False)
    assert bench.ensemble.asked == 0  # type: ignore[attr-defined]


def test_morph_of_a_photograph_is_not_kept(bench: Workbench) -> None:
    import torch

    codes = torch.full((1, 1), 200.0)
    photograph = ProjectedPhotograph("ab12", "0" * 16, "w_plus", {"pale": 1.0}, codes)
    morph = Morph(End(3, {"dark": 1.0}), End(photograph, {"pale": 1.0}), 0.7)
    assert morph.titles == ("dark", "photograph ab12:pale")
    assert bench.coarse(morph).images[-1, 0, 0, 0] == 200
    assert bench.curve(morph) is not bench.curve(morph)
    assert bench.provenance(morph, 0.5).parents == ["ab12"]
    assert morph != Morph(morph.a, End(photograph, {"dark": 1.0}), 0.7)


def test_most_probable_condition_is_the_default_target(bench: Workbench) -> None:
    image = bench.image(MORPH, 1.0)
    assert bench.attribute(image, None).target == "pale"
    assert bench.attribute(image, "dark").target == CONDITIONS[0]
