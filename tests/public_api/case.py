"""One call of the public API."""

from collections.abc import Callable
from typing import Any

import numpy as np


class Case:
    """A call that works: `function(**valid)`, of which one argument at a time is replaced."""

    def __init__(self, function: Callable[..., Any], **valid: Any) -> None:
        self.function, self.valid = function, valid


def photograph() -> np.ndarray:
    return np.full((40, 30, 3), 90, np.uint8)
