"""The command line as a user calls it, a headless browser, and property tests without a clock."""

import shutil
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from morphoscope.apps import cli

# A busy machine is no fault of the program.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a pattern …
    "--use-fake-ui-for-media-stream",  # … and may be used
]


@pytest.fixture
def command_line(monkeypatch, capsys):
    """command_line(*words) -> (exit code, stdout, stderr) of one call of `morphoscope`."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["morphoscope", *map(str, words)])
        terminated = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as stop:
                cli.main()
        finally:
            signal.signal(signal.SIGTERM, terminated)  # the next test's processes would inherit it
        out = capsys.readouterr()
        return stop.value.code or 0, out.out, out.err

    return call


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium; one for all tests of a process, since Playwright runs only once in it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield running
        running.close()
