"""A sweep over an image: W&B's `image_uri`, in place of `program` and `job`, stands for a job that is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.command import STARTERS
from launch_sdk.specs.container import IMAGE_SOURCE, bare_digest_fault, image_fault, image_job_name
from launch_sdk.specs.run_spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document

KEY = "image_uri"
OF_JOB = ("metric_sources",)  # what the file says beside the image, and the job has from then on


@dataclass(frozen=True)
class SweptImage:
    """What a sweep over an image runs.

    Attributes:
        name: of the image.
        entry_point: what is started in it, as the sweep's command says; empty starts what it starts by itself.
        metric_sources: where metrics come from if its program logs none itself.
    """

    name: str
    entry_point: tuple[str, ...] = ()
    metric_sources: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def job(self) -> str:
        """The name of its job."""
        return image_job_name(self.name)

    @property
    def spec(self) -> RunSpec:
        """What a run of its job is."""
        source = f"{IMAGE_SOURCE}{self.name}"
        return RunSpec(source, self.entry_point, metric_sources=self.metric_sources, container={"image": self.name})


def parse_image(
    document: Document,
    command: Sequence[str] | None,
    metric_sources: tuple[Mapping[str, Any], ...],
    faults: list[Fault],
) -> SweptImage | None:
    """Read `image_uri`; None if the file names none.

    Args:
        document: the sweep file.
        command: its command, which says what is started.
        metric_sources: where it says that metrics are.
        faults: each fault is added here, with its path and line.
    """
    name: object = document.value.get(KEY)
    if not isinstance(name, str) or not name:
        return None
    if told := image_fault(name) or bare_digest_fault(name):
        faults.append(document.fault((KEY,), told))
        return None
    return SweptImage(name, _entry_point(command or ()), metric_sources)


def as_job(value: Mapping[str, Any], reference: str | None = None) -> Mapping[str, Any]:
    """Give a sweep file that names the job of its image in the place of the image.

    Args:
        value: the file.
        reference: of the job; None for the name that the image gives it.
    """
    name: object = value.get(KEY)
    if not isinstance(name, str) or not name:
        return {key: one for key, one in value.items() if key != KEY}
    kept = {key: one for key, one in value.items() if key not in {KEY, *OF_JOB}}
    return {**kept, "job": reference or image_job_name(name)}


def _entry_point(command: Sequence[str]) -> tuple[str, ...]:
    """Give the words of a command before its first macro; none if it starts with macros alone."""
    words = ["python" if word == "${interpreter}" else word for word in command if word != "${env}"]
    plain = tuple(takewhile(lambda word: "${" not in word, words))
    return plain if any(word not in STARTERS for word in plain) else ()
