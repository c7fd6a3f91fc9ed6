"""Things in a folder that are not files: whoever opens them naively waits for ever or reads without end."""

import os
import socket
from collections.abc import Callable
from pathlib import Path


def named_pipe(path: Path) -> None:
    """Blocks whoever opens it, until something writes to it."""
    os.mkfifo(path)


def endless_device(path: Path) -> None:
    """A link to a device that never ends."""
    path.symlink_to("/dev/zero")


def links_in_a_circle(path: Path) -> None:
    """Two links that lead to each other."""
    other = path.with_name(f"other-{path.name}")
    path.symlink_to(other)
    other.symlink_to(path)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("absent"))


def folder(path: Path) -> None:
    path.mkdir()


def unix_socket(path: Path) -> None:
    """The entry stays after its socket is closed."""
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


KINDS: list[Callable[[Path], None]] = [
    named_pipe,
    endless_device,
    links_in_a_circle,
    link_to_nothing,
    folder,
    unix_socket,
]
