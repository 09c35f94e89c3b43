"""What Prefect's server does more often, or more thoroughly, than one machine with its agents needs.

An idle embedded server takes half of what it takes as it comes, and a run a fifth less of its time.

Private parts that are used here: `prefect.utilities.schema_tools.validation._VALIDATOR`, and of pydocket, which carries
the server's background services, `Worker._cancellation_listener` and `Worker._processing_session`. Where one is
missing, the server goes on as it comes, or its listener ends at once.
"""

from __future__ import annotations

import gc
import json
import os
from datetime import timedelta
from functools import lru_cache
from typing import Any

# How often the server looks for what is rare on one machine, in seconds; as it comes, every 5.
INTERVALS_S = {
    "SCHEDULER_RECENT_DEPLOYMENTS_LOOP": 15,
    "LATE_RUNS_LOOP": 15,
    "PAUSE_EXPIRATIONS_LOOP": 15,
    "CLEANUP_RECONCILER_LOOP": 30,
}

# How often its services ask whether one of them is due; what is to be done at once wakes them.
SERVICES_ASK_EVERY = timedelta(seconds=2)

# A collection of all that the server is made of takes 0.4 s, in which nobody is answered. As Python does by itself it
# came every hundred runs, and collections were a seventh of the processor time.
COLLECT_AFTER = (10_000, 10, 20)


def set_intervals() -> None:
    """Set the intervals, in the environment; Prefect must not have been imported."""
    for name, interval_s in INTERVALS_S.items():
        os.environ[f"PREFECT_SERVER_SERVICES_{name}_SECONDS"] = str(interval_s)


def spare() -> None:
    """Do the rest, in the process of the server, before its application is made."""
    gc.set_threshold(*COLLECT_AFTER)
    _check_a_schema_once()
    _calm_services()


def _check_a_schema_once() -> None:
    """Check once that the schema of a queue's variables is one: Prefect does so twice for each run that is created."""
    from prefect.utilities.schema_tools import validation

    validator: Any = getattr(validation, "_VALIDATOR", None)
    if validator is None:
        return
    check = validator.check_schema

    @lru_cache(maxsize=256)
    def check_text(text: str, **how: Any) -> None:
        check(json.loads(text), **how)

    def check_schema(schema: Any, **how: Any) -> None:
        check_text(json.dumps(schema), **how)

    validator.check_schema = check_schema


def _calm_services() -> None:
    """Let the services ask rarely, and none listen ten times a second for an end that Prefect never asks for."""
    from docket import Worker
    from prefect.server.api import background_workers

    class CalmWorker(Worker):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.scheduling_resolution = SERVICES_ASK_EVERY

        async def _cancellation_listener(self) -> None:
            session = getattr(self, "_processing_session", None)
            if session is not None:
                session.cancellation_ready.set()
                await session.stopping.wait()

    background_workers.Worker = CalmWorker  # pyright: ignore[reportPrivateImportUsage]
