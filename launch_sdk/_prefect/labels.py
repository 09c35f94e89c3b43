"""Labels of flow runs: written one call at a time, merged by the server, read back with every flow run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import PrefectClient

LabelValue = str | int | float | bool


async def write_labels(client: PrefectClient, run_id: UUID | str, labels: Mapping[str, LabelValue]) -> None:
    """Merge labels into those of a flow run."""
    await client.update_flow_run_labels(UUID(str(run_id)), dict(labels))
