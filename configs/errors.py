"""The one exception for everything that a user can fix."""

from collections.abc import Sequence

_SHOWN_NAMES = 10


class UserError(ValueError):
    """Bad input. The message names the file, field or value and says what to do.

    The command line prints it as one line and exits with code 2; anything else that escapes is our bug.
    """


def first_names(names: Sequence[str]) -> str:
    """The first ten, for a message."""
    return ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")
