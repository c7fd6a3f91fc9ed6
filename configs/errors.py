"""The one exception for everything that a user can fix."""

from collections.abc import Sequence

from pydantic import ValidationError

_SHOWN_NAMES, _SHOWN_PROBLEMS = 10, 5


class UserError(ValueError):
    """Bad input. The message names the file, field or value and says what to do.

    The command line prints it as one line and exits with code 2; anything else that escapes is our bug.
    """


def first_names(names: Sequence[str]) -> str:
    """The first ten, for a message."""
    return ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")


def validation_problems(error: ValidationError) -> str:
    """The first five fields that a file's content did not pass with, and why, for a message."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{field}: {message}" if field else message)
    return "; ".join(problems[:_SHOWN_PROBLEMS])
