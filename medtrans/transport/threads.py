"""BLAS on one thread, for work in pieces so small that its threads would mostly wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_lock = Lock()
_callers = 0
_limits: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread within; the limit of before returns when the last of several callers is through.

    BLAS threads spin while they wait, for each other between products and for a core on a busy machine: beside one busy
    process, two threads took three times as long as one.
    """
    global _callers, _limits
    with _lock:
        if _callers == 0:
            _limits = _controller().limit(limits=1, user_api="blas")
        _callers += 1
    try:
        yield
    finally:
        with _lock:
            _callers -= 1
            if _callers == 0:
                _limits.restore_original_limits()


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # looks for the loaded libraries, which takes ten milliseconds

    return ThreadpoolController()
