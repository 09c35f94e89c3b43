"""An image that starts its own run, and the Prefect work pool that is to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch_sdk.specs.run_spec import RunSpec


@dataclass(frozen=True)
class ImageDeployment:
    """A deployment of an image.

    Attributes:
        name: of it; its flow is `run-job`.
        spec: what the image was built of.
        image: what the pool's engine, or cluster, knows the image by.
        source: folder of the code in the image, in which programs start.
        pool: an existing work pool, whose runs are containers.
        is_pushed: whether a registry has the image; else it is where it was built alone.
        variables: values for the pool's own variables.
    """

    name: str
    spec: RunSpec
    image: str
    source: str
    pool: str
    is_pushed: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
