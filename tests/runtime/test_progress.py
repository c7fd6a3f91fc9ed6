"""Progress: bars on a terminal, occasional lines elsewhere, and an estimate from this process's own rate."""

import io
from time import sleep

import pytest
from rich.console import Console

from morphoscope.runtime import progress
from morphoscope.runtime.progress import format_duration, track, working

MARKUP = ["NF1 [mild]", "[/]", "[bold]x[/bold]", ":smile:", "\\[x]"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets: its only element holds seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)


def text(out: Console) -> str:
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def wait_for_line(out: Console, count: int) -> None:
    while text(out).count("\n") < count:
        sleep(0.001)


@pytest.mark.parametrize("name", MARKUP)
def test_a_description_is_never_markup(name: str, clock: list[float]) -> None:
    for terminal in (True, False):
        out = console(terminal=terminal)
        with working(name, 2, to=out) as work:
            clock[0] += 60
            work.say()
        assert name in text(out)


def test_a_terminal_gets_a_bar_with_the_values(clock: list[float]) -> None:
    out = console(terminal=True)
    with working("Hashing", 4000, unit="images", to=out) as work:
        work.update(1000)
        clock[0] += 10
        work.status = "p 0.125"
        work.update(2000)
    last = text(out).splitlines()[-2]  # then the cursor alone
    for part in ("Hashing", "━", "50%", "2,000 of 4,000 images", "took 10 s", "100 images/s", "p 0.125"):
        assert part in last


def test_a_transient_bar_and_short_work_leave_nothing(clock: list[float]) -> None:
    out = console(terminal=True)
    assert list(track([1, 2], "Short", to=out, transient=False)) == [1, 2]
    assert "Short" not in text(out)
    with working("Long", to=out, transient=True):
        clock[0] += 60
    lines = text(out).split("\x1b[2K")  # erases a line
    assert "Long" not in lines[-1]


def test_short_work_is_silent_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([1, 2], "Reading images")) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_a_line_soon_then_rarely_and_one_at_the_end(clock: list[float]) -> None:
    """Even while a single step lasts."""
    out = console()
    with working("Hashing", 4, unit="images", to=out) as work:
        clock[0] += 2
        wait_for_line(out, 1)
        work.advance()
        clock[0] += 6
        work.advance()
        wait_for_line(out, 2)
    assert text(out).splitlines() == [
        "Hashing: 0 of 4 images",
        "Hashing: 2 of 4 images · 12 s left · 0.167 images/s",
        "Hashing: 2 of 4 images · took 8 s · 0.167 images/s",
    ]


def test_work_within_work_shares_the_display(clock: list[float]) -> None:
    out = console()
    with working("generator", 10, to=out), working("Measuring") as inner:
        clock[0] += 2
        wait_for_line(out, 1)
        assert inner.display is not None and inner.display.console is out
    assert text(out).splitlines() == ["generator: 0 of 10 | Measuring …", "generator: 0 of 10 · took 2 s"]


def test_an_error_ends_the_display() -> None:
    with pytest.raises(ZeroDivisionError), working("first", to=console()):
        raise ZeroDivisionError
    out = console()
    with working("second", to=out) as work:
        work.say()
    assert "second" in text(out)


def test_time_left_depends_on_this_process_only(clock: list[float]) -> None:
    """Steps of earlier processes do not count, nor does the first step, which builds kernels."""
    with working("generator", 50_000, done=40_000, to=console()) as work:
        clock[0] += 500  # the first step
        work.update(40_100)
        assert work.seconds_left is None
        clock[0] += 3
        work.update(40_200)
        assert work.seconds_left is None  # too early for an estimate
        clock[0] += 7
        work.update(40_300)
        assert work.seconds_left == pytest.approx((50_000 - 40_300) * 10 / 200)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(42.0, "42 s"), (59.7, "1 min"), (3599, "1 h 00 min"), (7260, "2 h 01 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown
