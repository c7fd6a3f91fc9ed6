"""The parts of the page that are made as HTML: boxes with a message. Everything put into them is escaped."""

import re
from html import escape

_BEFORE_NUMBER = re.compile(r"(?<=[<>]) (?=\d)")


def message(sentence: str, kind: str = "note") -> str:
    """A paragraph in a box; kinds: note, warning, error (announced by screen readers), detail, empty."""
    role = ' role="alert"' if kind == "error" else ' role="status"'
    unbroken = _BEFORE_NUMBER.sub("\N{NO-BREAK SPACE}", sentence)
    return f'<p class="ms-message ms-{kind}"{role}>{escape(unbroken)}</p>'
