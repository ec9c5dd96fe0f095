"""Exceptions that nobody catches: the call ends with a trap, which cannot say why,
so the operator is told before."""

import functools

from componentize_py_types import Err
from wit_world.imports import log


def told(function):
    """Makes `function` tell what exception it ends with. A failure of the host
    (`Err`) is none: it is handed on as it is."""

    @functools.wraps(function)
    def call(*args):
        try:
            return function(*args)
        except Err:
            raise
        except Exception as error:
            # Not by `traceback`: it would open the source, and there are no files.
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            message = f"{type(error).__name__}: {error}"
            log.panicked(message, place.tb_frame.f_code.co_filename, place.tb_lineno, 0)
            raise

    return call
