"""PyTorch's builds for CUDA, ROCm or the CPU alone have an index each; the version says which: 2.4.0+cu121."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from launch_sdk.environments.requirements import Requirements

BACKEND: Final = "--torch-backend"
_PINNED = re.compile(r"(?:torch|torchvision|torchaudio)\s*===?\s*[\w.]+\+([\w.]+)")
_INDEXES = ("--index-url", "--extra-index-url", "--find-links", "--no-index", BACKEND)


def backend_of(version: str) -> str | None:
    """Return the backend that a version of torch is built for; None if it does not say."""
    backend = version.partition("+")[2]
    return backend if re.fullmatch(r"cpu|xpu|cu\d+|rocm[\d.]+", backend) else None


def backend_options(found: Requirements) -> list[str]:
    """Give the option that finds a pinned build of PyTorch; nothing if none is pinned, or an index is named already."""
    if any(option in _INDEXES for option in found.options):
        return []
    pins = (match.group(1) for line in found.lines if (match := _PINNED.match(line)))
    backends = [backend for pin in pins if (backend := backend_of(f"+{pin}"))]
    return [BACKEND, backends[0]] if backends else []
