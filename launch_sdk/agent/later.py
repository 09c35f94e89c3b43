"""What Prefect's engine begins with every run, and a short run does without: put off until a run has lasted a while.

For each run the engine opens a stream of events, to hear whether somebody suspends it, waits until that stands, and
reads the run once more; and it opens another stream for a first heartbeat. In a run of 0.2 s that is a quarter of what
the server has to do. Put off, nothing is lost: the observer reads the run's state when it begins, and a heartbeat of a
run that has just begun tells nobody more than its state does.

Private parts of Prefect 3.8 that are used here: the names `observe_flow_run_suspension` and `_send_heartbeats` of
`prefect.flow_engine`; one that is not there is left alone.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

AFTER_S = 2.0
_log = logging.getLogger("launch_sdk.agent")
_NAMES = ("observe_flow_run_suspension", "_send_heartbeats")


def put_off_streams() -> None:
    """Do it for all flows of this process; the engine is imported."""
    from prefect import flow_engine

    for name in _NAMES:
        if (entered := getattr(flow_engine, name, None)) is not None:
            setattr(flow_engine, name, later(entered))


def later(entered: Callable[..., AbstractContextManager[Any]], after_s: float = AFTER_S) -> Callable[..., Any]:
    """Make a context manager that enters another one in a thread after a while, unless it is over before.

    Args:
        entered: makes the other one; it is entered in a copy of the caller's context.
        after_s: seconds.
    """

    @wraps(entered)
    @contextmanager
    def put_off(*args: Any, **kwargs: Any) -> Generator[None]:
        over = threading.Event()

        def hold() -> None:
            if over.wait(after_s):
                return
            try:
                with entered(*args, **kwargs):
                    over.wait()
            except Exception as error:  # noqa: BLE001  # the run goes on without it
                _log.debug("%s failed: %s", entered.__name__, error)

        threading.Thread(target=copy_context().run, args=(hold,), name=entered.__name__, daemon=True).start()
        try:
            yield
        finally:
            over.set()  # nobody waits for the thread: to take leave of the server, it would cost a run up to a second

    return put_off
