"""What runs in the browser: templates and scripts of the page's own components."""

import re
from importlib import resources

_INCLUDED = re.compile(r"<!-- (\w+)\.html -->")


def template(name: str) -> str:
    """A component's HTML, in which `${t.key}` stands for a sentence of the prop `t`.

    A comment that names another template stands for that.
    """
    return _INCLUDED.sub(lambda found: template(found[1]), _read(f"{name}.html"))


def script(*names: str) -> str:
    """Scripts as the body of one function: what an earlier one defines the next one sees."""
    return "\n".join(_read(f"{name}.js") for name in names)


def style(name: str) -> str:
    """A style sheet."""
    return _read(f"{name}.css")


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
