"""The one exception for everything that a user can mend."""


class UserError(ValueError):
    """Bad input. The message names the file, field or value and says what to do about it.

    The command line prints it as one line and exits with code 2; anything else that escapes is our bug.
    """
