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
    assert plan.speed.seconds_per_kimg == pytest.approx(
        (1 + 0.5 / 4 + 1.5 / 16) / config.training.batch * 1000, rel=1e-6
    )
    assert plan.seconds_left == pytest.approx(10 * plan.speed.seconds_per_kimg)
    assert plan.images == {"dark": 9, "pale": 9}
    assert not (tmp_path / "run").exists()


def test_an_unfinished_run_is_planned_from_its_current_state(tiny_config, tiny_cohort, tiny_run, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    longer = tiny_config.model_copy(update={"kimg": 0.1})
    plan = plan_training(longer, tiny_cohort, tmp_path / "run", exclude_folds=["2"])
    assert plan.kimg_done == pytest.approx(0.04)
    assert plan.seconds_left == pytest.approx(0.06 * plan.speed.seconds_per_kimg)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_the_plan_shows_settings_and_costs(steady, tiny_config, tiny_cohort, tmp_path, capsys):
    plan_training(tiny_config, tiny_cohort, tmp_path / "run").print()
    shown = capsys.readouterr().out
    for part in ("mbstd_group: 2", "images of dark", "parameters of G and D", "s/kimg", "time left"):
        assert part in shown


def test_the_least_of_several_measurements_counts_and_the_text_says_what_was_measured(
    monkeypatch, tiny_config, tiny_cohort, tmp_path, capsys
):
    """Other programs double the time of whole rounds and of single iterations, but never of all."""
    factors = iter([9, 9, *[2] * 5, 1, 1, 1, 1, 2, 3, 3, 3, 3, 1])
    monkeypatch.setattr(planning, "_timed", lambda trainer: next(factors))
    monkeypatch.setattr(planning.os, "getloadavg", lambda: (0.1, 0, 0))
    config = tiny_config.model_copy(update={"g_interval": 4})
    plan = plan_training(config, tiny_cohort, tmp_path / "run")
    assert plan.speed.seconds_per_kimg == pytest.approx(1000 / config.training.batch)
    plan.print()
    shown = " ".join(capsys.readouterr().out.split())
    assert "least of 3 measurements of 5 iterations of 4 images on this machine" in shown
    assert "busy, so that training may be faster when it is not" in shown
    assert "the slowest measurement took 2.6 times the least" in shown


def test_a_slow_machine_is_measured_once_or_twice(monkeypatch, tiny_config, tiny_cohort, tmp_path):
    monkeypatch.setattr(planning, "_timed", lambda trainer: 70.0)
    monkeypatch.setattr(planning, "_LONG_ENOUGH", -1.0)
    plan = plan_training(tiny_config, tiny_cohort, tmp_path / "run")
    assert plan.speed.rounds == 1
    assert "one measurement of" in plan.speed.measured


@pytest.mark.parametrize(
    ("load", "slowest", "busy"), [(0.3, 1.1, False), (2.0, 1.1, True), (0.3, 1.5, True), (None, 1.0, False)]
)
def test_the_machine_is_busy_by_its_load_or_by_the_spread(load, slowest, busy):
    speed = planning.Speed(30.0, 5, 3, 16, slowest, load)
    assert speed.machine.startswith("busy" if busy else "not busy")
