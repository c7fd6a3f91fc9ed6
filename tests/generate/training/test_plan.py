"""The plan of a training: what it counts and measures, and that it leaves no files behind."""

import shutil

import pytest

from morphoscope.generate import plan_training
from morphoscope.generate.training import plan as planning


@pytest.fixture
def steady(monkeypatch):
    """Iterations that take 1 s, with R1 1.5 s more, and with path lengths 0.5 s more."""

    def timed(trainer):
        config = trainer.config
        seconds = 1.0
        seconds += 0.5 * (trainer.iteration % config.loss.g_interval == 0)
        seconds += 1.5 * (trainer.iteration % config.loss.d_interval == 0)
        trainer.iteration += 1
        return seconds

    monkeypatch.setattr(planning, "_timed", timed)


def test_penalties_are_weighted_by_their_frequency(steady, tiny_config, tiny_cohort, tmp_path):
    config = tiny_config.model_copy(update={"g_interval": 4, "d_interval": 16, "kimg": 10})
    plan = plan_training(config, tiny_cohort, tmp_path / "run")
    assert plan.seconds_per_kimg == pytest.approx(
        (1 + 0.5 / 4 + 1.5 / 16) / config.training.batch * 1000, rel=0.01
    )
    assert plan.seconds_left == pytest.approx(10 * plan.seconds_per_kimg)
    assert plan.images == {"dark": 9, "pale": 9}
    assert not (tmp_path / "run").exists()


def test_an_unfinished_run_is_planned_from_its_current_state(tiny_config, tiny_cohort, tiny_run, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    longer = tiny_config.model_copy(update={"kimg": 0.1})
    plan = plan_training(longer, tiny_cohort, tmp_path / "run", exclude_folds=["2"])
    assert plan.kimg_done == pytest.approx(0.04)
    assert plan.seconds_left == pytest.approx(0.06 * plan.seconds_per_kimg)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_the_plan_shows_settings_and_costs(steady, tiny_config, tiny_cohort, tmp_path, capsys):
    plan_training(tiny_config, tiny_cohort, tmp_path / "run").print()
    shown = capsys.readouterr().out
    for part in ("mbstd_group: 2", "images of dark", "parameters of G and D", "s/kimg", "time left"):
        assert part in shown
