"""Where the run store is: in the server's block document `launch-run-store/default`, or below LAUNCH_HOME.

The block's form is `blocks.run_store`, which this package must not import; its one field is read here by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.runs.store import RunStore
from launch_sdk.sources.packed import IMAGE, is_packed

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

BLOCK_TYPE = "launch-run-store"
BLOCK_NAME = "default"


async def run_store(client: PrefectClient) -> RunStore:
    """Return the run store of this server's runs; one call to the server.

    Args:
        client: of the server; that of a running flow is open already, which makes the call 6 to 9 ms.
    """
    from prefect.exceptions import ObjectNotFound

    try:
        document = await client.read_block_document_by_name(BLOCK_NAME, BLOCK_TYPE)
    except ObjectNotFound:
        return RunStore.local()
    return RunStore(_folder(document.data["path"]))


def _folder(path: str) -> Path:
    return Path(path).expanduser()


async def store_holding(client: PrefectClient, source: str) -> RunStore:
    """Return the run store that a source is in: this machine's own if it has it, or else the server's.

    A packed source is named by its content, so it is the same in both.

    Args:
        client: of the server.
        source: a packed source, or the path of a local directory, which any store can take in.
    """
    local = RunStore.local()
    if source.startswith(IMAGE):
        return local
    return local if is_packed(source) and local.holds(source) else await run_store(client)
