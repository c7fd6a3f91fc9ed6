"""Progress: what it shows on terminals and in files, and an estimate from this process's own rate."""

import io

import pytest
from rich.console import Console

from morphoscope.generate.training import progress
from morphoscope.generate.training.progress import TrainingProgress
from morphoscope.generate.training.records import Tick


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets: its only element holds seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)


def tick(**values):
    return Tick(41.0, {"seconds_per_kimg": 30.0, "memory_gb": 1.23, **values})


def train(shown, clock, seconds_per_iteration, iterations, start=40_000):
    for index in range(1, iterations + 1):
        clock[0] += seconds_per_iteration
        shown.update(start + 100 * index)


def test_a_log_file_gets_one_plain_line_per_tick(clock):
    out = console(terminal=False)
    with TrainingProgress(out, 200_000, 40_000) as shown:
        for index in range(3):
            train(shown, clock, 3.0, 10, start=40_000 + 1000 * index)
            shown.tick(tick(augment_p=0.125, augment_real_sign=-0.25, loss_G=0.5))
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == (
        "generator 41.0 of 200 kimg · 30.0 s/kimg · p 0.125 · r_t -0.25 · 1.2 GB · 1 h 20 min left"
    )
    assert "\x1b" not in out.file.getvalue()


def test_a_terminal_gets_a_bar_with_the_values(clock):
    out = console(terminal=True)
    with TrainingProgress(out, 200_000, 100_000) as shown:
        train(shown, clock, 3.0, 10, start=100_000)
        shown.tick(tick(augment_p=0.125, augment_real_sign=0.5))
    last = out.file.getvalue().splitlines()[-2]  # then the cursor alone
    for part in ("101.0 of 200 kimg", "30.0 s/kimg", "p 0.125", "r_t +0.50", "1.2 GB", "50 min left", "━"):
        assert part in last


def test_missing_values_are_left_out():
    out = console(terminal=False)
    TrainingProgress(out, 200_000, 1000).tick(tick())
    assert out.file.getvalue() == "generator 1.0 of 200 kimg · 30.0 s/kimg · 1.2 GB\n"


def test_time_left_depends_on_this_process_only(clock):
    """Images of earlier processes do not count, nor does the first iteration, which builds kernels."""
    shown = TrainingProgress(console(False), 50_000, 40_000)
    clock[0] += 500  # the first iteration
    shown.update(40_100)
    assert shown.seconds_left() is None
    clock[0] += 5
    shown.update(40_200)
    assert shown.seconds_left() is None  # too early for an estimate
    clock[0] += 5
    shown.update(40_300)
    assert shown.seconds_left() == pytest.approx((50_000 - 40_300) * 10 / 200)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42.0, "42 s"), (59.7, "1 min"), (3599, "1 h 00 min"), (7260, "2 h 01 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds, text):
    assert progress.format_duration(seconds) == text
