"""The first signal is a request, a later Ctrl-C stops at once, and earlier handlers are restored."""

import queue
import signal
import threading

import pytest

from morphoscope.runtime import Interruption, interruption

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets: its only element holds seconds."""
    now = [100.0]
    monkeypatch.setattr(interruption.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request(number: signal.Signals) -> None:
    with Interruption("Stopping …") as interruption:
        assert not interruption.requested
        signal.raise_signal(number)
        assert interruption.requested


@pytest.mark.parametrize("first", SIGNALS)
def test_a_later_ctrl_c_stops_at_once(first: signal.Signals, clock: list[float]) -> None:
    with pytest.raises(KeyboardInterrupt), Interruption("Stopping …"):
        signal.raise_signal(first)
        clock[0] += 3
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.usefixtures("clock")
def test_the_first_signal_is_answered_at_once(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a thread, while the work goes on; a repeated signal adds nothing."""
    printed: queue.SimpleQueue[str] = queue.SimpleQueue()
    # Not capsys: what another thread writes while capsys is read can be lost.
    monkeypatch.setattr(interruption, "say", lambda text, *, stderr: printed.put(text))
    expected = "Stopping after this iteration, saving … (Ctrl-C again stops at once)"
    with Interruption("Stopping after this iteration, saving …"):
        signal.raise_signal(number)
        signal.raise_signal(number)
        while printed.get(timeout=60) != expected:  # a thread of an earlier test may print its own first
            pass
    rest = [printed.get() for _ in range(printed.qsize())]
    assert expected not in rest


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.usefixtures("clock")
def test_a_signal_that_a_launcher_repeats_counts_once(number: signal.Signals) -> None:
    with Interruption("Stopping …") as interruption:
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert interruption.requested


def test_a_later_sigterm_does_not_cut_off_the_saving(clock: list[float]) -> None:
    with Interruption("Stopping …") as interruption:
        signal.raise_signal(signal.SIGTERM)
        clock[0] += 20
        signal.raise_signal(signal.SIGTERM)
        assert interruption.requested


@pytest.mark.parametrize("error", [None, RuntimeError])
def test_handlers_are_restored(error: type[Exception] | None) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with Interruption("Stopping …"):
            assert [signal.getsignal(number) for number in SIGNALS] != before
            if error is not None:
                raise error
    except RuntimeError:
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_nested_interruptions_restore_the_outer_one() -> None:
    with Interruption("Stopping …") as outer:
        with Interruption("Stopping …") as inner:
            signal.raise_signal(signal.SIGTERM)
        assert (inner.requested, outer.requested) == (True, False)
        signal.raise_signal(signal.SIGTERM)
        assert outer.requested


def test_outside_the_main_thread_it_never_fires() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    seen: list[bool] = []

    def work() -> None:
        with Interruption("Stopping …") as interruption:
            seen.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    assert [signal.getsignal(number) for number in SIGNALS] == before
