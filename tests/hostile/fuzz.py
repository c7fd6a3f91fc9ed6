"""Damaged files for every reader: it may read them or raise UserError with one line, and nothing else.

    PYTHONPATH=tests python -m hostile.fuzz --minutes 10        or: make fuzz MINUTES=10

Each file is made from a sound one by changes that its number decides, so that any failure can be repeated.
"""

import argparse
import logging
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hostile.limits import TooSlow, at_most
from hostile.readers import READERS, Reader, empty
from morphoscope.configs import UserError

SECONDS = 5.0  # that a file may take
MEGABYTES = 1024  # that all files of a reader together may add to the process
_LARGEST_MESSAGE = 5000


class ReaderError(AssertionError):
    """A reader did something else with a file than reading or refusing it."""


@dataclass
class Outcome:
    """Counts of files; seconds that the slowest took; megabytes by which the process grew."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    grown: float = 0.0


def damaged(seeds: list[bytes], words: tuple[bytes, ...], number: int) -> bytes:
    """File `number`: one of the sound files after one to eight changes."""
    random = np.random.default_rng(number)
    data = bytearray(seeds[random.integers(len(seeds))])
    for _ in range(random.integers(1, 9)):
        place, end = sorted(random.integers(0, len(data) + 1, 2).tolist())
        match random.integers(8):
            case 0 if data:
                data[min(place, len(data) - 1)] ^= 1 << int(random.integers(8))
            case 1:
                data[place : place + 4] = random.bytes(4)
            case 2:
                data[place : place + 4] = [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"][random.integers(3)]
            case 3:
                del data[place : min(end, place + 64)]
            case 4:
                data[place:place] = data[place : min(end, place + 64)] * int(random.integers(1, 9))
            case 5 if words:
                data[place:place] = words[random.integers(len(words))]
            case 6 if words:
                word = words[random.integers(len(words))]
                data[place : place + len(word)] = word
            case _ if random.random() < 0.2:
                del data[place:]
    return bytes(data)


def fuzz(reader: Reader, folder: Path, files: int, seconds: float, first: int = 0) -> Outcome:
    """Try the files from number `first` on, at most `files` of them and about `seconds` long.

    Raises:
        ReaderError: any error but UserError, a message of several lines, or too much time or memory.
    """
    empty(folder)
    seeds = reader.seeds(folder)
    outcome, end = Outcome(), time.monotonic() + seconds
    before = _megabytes()
    for number in range(first, first + files):
        if time.monotonic() > end:
            break
        data = damaged(seeds, reader.words, number)
        _try(reader, folder, data, number, outcome)
        outcome.grown = _megabytes() - before
        if outcome.grown > MEGABYTES:
            raise ReaderError(f"file {number}: the process grew by {outcome.grown:.0f} MB")
    return outcome


def _try(reader: Reader, folder: Path, data: bytes, number: int, outcome: Outcome) -> None:
    empty(folder)
    path = folder / reader.file
    path.write_bytes(data)
    start = time.monotonic()
    try:
        with at_most(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
        outcome.read += 1
    except UserError as error:
        outcome.refused += 1
        if "\n" in str(error) or len(str(error)) > _LARGEST_MESSAGE:
            raise ReaderError(f"file {number}: not one line: {str(error)[:500]!r}") from error
    except (Exception, TooSlow) as error:
        raise ReaderError(f"file {number}: {type(error).__name__}: {str(error)[:500]}") from error
    outcome.slowest = max(outcome.slowest, time.monotonic() - start)


def _megabytes() -> float:
    """The most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _main(minutes: float, say: Callable[[str], object] = print) -> int:
    """Fuzz all readers in turn, with new files in each round; the number of failures."""
    logging.disable()
    end, first, failures = time.monotonic() + 60 * minutes, 0, 0
    totals = {name: Outcome() for name in READERS}
    with TemporaryDirectory() as folder:
        while time.monotonic() < end and not failures:
            for name, reader in READERS.items():
                seconds = max(1.0, min(60.0, 60 * minutes / len(READERS)))
                try:
                    found = fuzz(reader, Path(folder) / "work", 1000, seconds, first)
                except ReaderError as error:
                    failures += 1
                    say(f"{name}: {error}")
                    continue
                total = totals[name]
                total.read, total.refused = total.read + found.read, total.refused + found.refused
                total.slowest = max(total.slowest, found.slowest)
                total.grown = max(total.grown, found.grown)
                say(
                    f"{name}: {total.read} read, {total.refused} refused; slowest {total.slowest:.2f} s; "
                    f"{total.grown:.0f} MB"
                )
            first += 1000
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Damaged files for every reader.")
    parser.add_argument("--minutes", type=float, default=10.0)
    sys.exit(_main(parser.parse_args().minutes))
