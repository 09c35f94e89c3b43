"""Where packed sources are kept, for machines that share a folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, field_validator

from launch_sdk._prefect.run_store import BLOCK_TYPE
from launch_sdk.runs import store


class RunStore(Block):
    """The run store of a server: name the document `default`, and every run of that server uses it.

    Attributes:
        path: absolute path of a folder that all machines of the server see, or one that begins with `~`.
    """

    _block_type_name: ClassVar[str | None] = "Launch Run Store"
    _block_type_slug: ClassVar[str | None] = BLOCK_TYPE
    _description: ClassVar[str | None] = "Folder in which Launch keeps the packed source of each run."

    path: str = Field(description="Absolute path of a folder that every machine of this server sees.")

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        if not Path(path).expanduser().is_absolute():
            raise ValueError(f"{path!r} is not absolute; runs start in folders of their own. Begin it with / or ~")
        return path

    def to_store(self) -> store.RunStore:
        """Return the store."""
        return store.RunStore(Path(self.path).expanduser())
