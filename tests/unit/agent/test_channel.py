"""The channel of Prefect's own worker asks whose server it is before it connects."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from prefect.workers._worker_channel import WorkPoolWorkerChannel  # pyright: ignore[reportPrivateImportUsage]

from launch_sdk.agent.channel import connect_only_if
from launch_sdk.errors import BackendUnavailableError


def test_it_connects_to_its_own_server_and_to_no_other() -> None:
    connected: list[str] = []

    def connect(url: str, **_: Any) -> Any:
        connected.append(url)
        raise ConnectionRefusedError

    nobody: Any = None
    channel = WorkPoolWorkerChannel(
        client=nobody,
        api_url="http://127.0.0.1:1/api",
        work_pool_name="default",
        worker_name="agent",
        worker_type="launch",
        heartbeat_interval_seconds=10,
        work_queue_names=[],
        create_pool_if_not_found=False,
        default_base_job_template={},
        worker_metadata=nobody,
        work_pool_is_available=lambda: True,
        logger=logging.getLogger(__name__),
        connect_factory=connect,
    )
    is_own = [True, False]

    def require_same_server() -> None:
        if not is_own.pop(0):
            raise BackendUnavailableError("The embedded server has ended.")

    connect_only_if(channel, require_same_server)
    transport: Any = vars(channel)["_transport"]
    for _ in range(2):
        with pytest.raises(Exception, match="Worker channel"):
            asyncio.run(transport.connect_once(nobody))
    assert connected == ["ws://127.0.0.1:1/api/work_pools/default/workers/connect"]
    assert not is_own
