"""The build step of `prefect.yaml`: what a deployment must know that the file itself cannot say."""

from __future__ import annotations

from launch_sdk._prefect.project import project_folder, project_version


def describe_project() -> dict[str, str]:
    """Return `directory`, the project's absolute path, and `version`, that of the flows."""
    return {"directory": str(project_folder()), "version": project_version()}
