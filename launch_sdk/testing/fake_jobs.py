"""What becomes of the versions of a job, in the server in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from launch_sdk.specs.job_history import JobHistory, JobVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.job import Job
    from launch_sdk.specs.run_spec import RunSpec


def with_version(history: JobHistory, spec: RunSpec, at: float) -> JobHistory:
    """Return the history with one more version, made at `at`, unix seconds."""
    return replace(history, known=[*history.known, JobVersion(history.next_number, spec, at)])


def with_description(history: JobHistory, description: str | None) -> JobHistory:
    """Let people read this of the newest version."""
    number = history.latest.number
    known = [replace(one, description=description) if one.number == number else one for one in history.known]
    return replace(history, known=known)


def with_aliases(history: JobHistory, aliases: Sequence[str]) -> tuple[JobHistory, dict[str, int | None]]:
    """Let aliases name the newest version; return which of them have moved, and from which version."""
    number = history.latest.number
    before = {alias: history.own_aliases.get(alias) for alias in aliases}
    moved = {alias: old for alias, old in before.items() if old != number}
    return replace(history, own_aliases={**history.own_aliases, **dict.fromkeys(moved, number)}), moved


def without(history: JobHistory, job: Job, alias: str) -> JobHistory:
    """Return the history without an alias or, if it is a version's own name, without that version and its aliases."""
    aliases = history.own_aliases
    if alias in aliases:
        return replace(history, own_aliases={one: number for one, number in aliases.items() if one != alias})
    kept = {one: number for one, number in aliases.items() if number != job.number}
    known = [replace(one, spec=None) if one.number == job.number else one for one in history.known]
    return replace(history, known=known, own_aliases=kept)
