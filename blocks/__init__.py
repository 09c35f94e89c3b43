"""Configuration kept on the server. Register the types: `prefect block register -m blocks`."""

from blocks.run_store import RunStore

__all__ = ["RunStore"]
