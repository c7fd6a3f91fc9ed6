"""Errors of the page's handlers as messages in our words; only faults of our own reach the terminal."""

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import gradio as gr

from morphoscope.apps.texts import text
from morphoscope.configs import UserError

P = ParamSpec("P")
R = TypeVar("R")


def reported(handler: Callable[P, R]) -> Callable[P, R]:
    """A handler whose errors the page shows as a message."""

    @wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:
            traceback.print_exc()
            raise gr.Error(text("error.fault"), print_exception=False) from error

    return wrapped
