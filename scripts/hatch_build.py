"""Ship the Prefect project (flows, blocks, prefect.yaml) inside standard wheels, as data of the library."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProjectHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds `launch_sdk/_project/`; an editable install reads the checkout itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel is made; `version` is "standard" or "editable"."""
        if version == "standard":
            for name in ("flows", "blocks", "prefect.yaml"):
                build_data["force_include"][name] = f"launch_sdk/_project/{name}"
