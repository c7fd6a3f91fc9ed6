"""The entry point of the command and of `python -m morphoscope.apps`, also for torchrun."""

import os
import signal
from types import FrameType

_INTERRUPTED = 130  # what shells report for a program that SIGINT ended


def main() -> None:
    """Run the command line; Ctrl-C while it is still being loaded ends the program in one line, too."""
    previous = signal.getsignal(signal.SIGINT)
    if previous is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop_loading)
    from morphoscope.apps.cli import main as run

    signal.signal(signal.SIGINT, previous)
    run()


def _stop_loading(number: int, frame: FrameType | None) -> None:
    """Nothing has been written yet, and an exception in an import could be caught there."""
    os.write(2, b"morphoscope: Stopped.\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
