"""The build step of `prefect.yaml`: what a deployment must know that the file itself cannot say."""

from __future__ import annotations

from importlib.metadata import version

from launch_sdk._prefect import names


def describe_project() -> dict[str, str]:
    """Return `directory`, the project's absolute path, and `version`, that of the installed library."""
    return {"directory": str(names.project_folder()), "version": version("launch-sdk")}
