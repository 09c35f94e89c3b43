"""The Prefect project that carries the product's own flows and blocks: where it is, and which it is."""

from __future__ import annotations

import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path

# Our flows keep no results. Where these would be has to be said all the same, or every run asks the server, twice.
NO_RESULTS = Path(tempfile.gettempdir())


def project_version() -> str:
    """Return the version of the library and a digest of the flows: what a deployment of them is a deployment of."""
    digest = hashlib.sha256()
    for path in sorted((project_folder() / "flows").glob("*.py")):
        digest.update(path.read_bytes())
    return f"{version('launch-sdk')}+{digest.hexdigest()[:8]}"


def project_folder() -> Path:
    """Return the Prefect project: the checkout's top folder, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_project"
    return shipped if shipped.is_dir() else package.parent
