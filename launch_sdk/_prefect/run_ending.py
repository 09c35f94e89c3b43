"""What a run leaves on the server when its program has ended: summary, config, inputs, and a job if it is to be one."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launch_sdk._prefect import names
from launch_sdk._prefect.jobs import read_job, save_job
from launch_sdk._prefect.labels import LabelValue, write_labels
from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.job_making import with_inputs
from launch_sdk.runs.packing import pack_source
from launch_sdk.runs.used_files import lock_of
from launch_sdk.sources.packed import content_of, is_packed
from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.specs.job import check_name, suggested_aliases, suggested_name
from launch_sdk.specs.secrets import secret_paths, without_paths
from launch_sdk.tracking import protocol
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.values import dumps, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import PrefectClient

    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.run_spec import RunSpec

REGISTER = "LAUNCH_REGISTER_JOBS"
LOCK_KEPT = ("version", "python", "implementation", "platform", "gpus", "packages", "files", "from", "differs")
MAX_LABEL = 64 * 1024  # characters; every listing of runs carries the labels


async def write_end(
    client: PrefectClient, run_id: str, run: RunDirectory, summary: Mapping[str, Any], *, is_of_sweep: bool = False
) -> list[str]:
    """Write what the run has recorded as labels of its flow run, in one call.

    Values of the config that the program's schema calls secret stay in the run directory. So does the environment lock
    of a sweep's run: all of them have the same, and their parent reads their labels all the time.

    Returns:
        The labels that were too large and are left out.
    """
    wanted = _labels(run, summary)
    if not is_of_sweep and (lock := lock_of(run.path)):
        wanted[names.LOCK] = dumps({key: value for key, value in lock.items() if key in LOCK_KEPT})
    kept: dict[str, LabelValue] = {name: text for name, text in wanted.items() if len(text) <= MAX_LABEL}
    if names.SUMMARY in wanted:
        kept[names.SUMMARY] = wanted[names.SUMMARY]  # a sweep needs it, however long
    if kept:
        await write_labels(client, run_id, kept)
    return [name for name in wanted if name not in kept]


def _labels(run: RunDirectory, summary: Mapping[str, Any]) -> dict[str, str]:
    snapshot = protocol.read_snapshot(run.path)
    hidden = secret_paths(_schema(snapshot))
    secrets = tuple(f"{join_path(path)}." for path in hidden)
    provenance = {path: layers for path, layers in run.provenance().items() if not f"{path}.".startswith(secrets)}
    labels = {
        names.SUMMARY: summary,
        names.CONFIG: without_paths(snapshot.config, hidden),
        names.INPUTS: snapshot.inputs,
        names.PROVENANCE: provenance,
        names.CODE: protocol.read_code(run.path),
    }
    return {name: dumps(value) for name, value in labels.items() if value}


def _schema(snapshot: protocol.Snapshot) -> Mapping[str, Any] | None:
    if snapshot.inputs is None:
        return None
    try:
        return infer_inputs(snapshot.inputs, snapshot.config).config
    except InvalidSpecError:  # told where a job is made of the run; it may still say what is secret
        own: Any = snapshot.inputs.get("config")
        return own.get("schema") if is_object(own) else None


async def register(client: PrefectClient, run: RunDirectory, spec: RunSpec, queue: str, store: RunStore) -> Job | None:
    """Make a job of a run that has finished, if its program, or LAUNCH_REGISTER_JOBS=1, wants one.

    The first such run of a job that was made of code alone says what the job takes. A run of any other job makes none.

    Raises:
        LaunchError: the job cannot have this name, or the inputs that were declared make no sense.
    """
    snapshot = protocol.read_snapshot(run.path)
    name = _job_name(spec, snapshot.metadata.get("register"))
    if name is None:
        return None
    check_name(name)
    if not is_packed(spec.source):
        spec = await asyncio.to_thread(pack_source, spec, store)
    recorded = without_paths(snapshot.config, secret_paths(_schema(snapshot)))
    made = with_inputs(spec, snapshot.inputs, recorded, run.provenance())
    if spec.job is not None:
        return await _complete(client, name, made)
    return (await save_job(client, name, made, None, first_queue=queue, aliases=suggested_aliases(made))).job


async def _complete(client: PrefectClient, name: str, made: RunSpec) -> Job | None:
    """Make the next version of a job out of its newest one and what a run has told of its inputs.

    A run of older code, or one that another was faster than, tells nothing of the newest version.
    """
    try:
        job = await read_job(client, name)
    except NotFoundError:  # deleted while the run went on
        return None
    is_of_newest = content_of(job.spec.source) == content_of(made.source) and job.spec.entry_point == made.entry_point
    if job.inputs is not None or not is_of_newest:
        return None
    complete = replace(job.spec, inputs=made.inputs)
    saved = await save_job(client, name, complete, None, based_on=job.digest)
    return saved.job if saved.is_new else None


def _job_name(spec: RunSpec, wanted: object) -> str | None:
    if spec.job is not None:
        return spec.job if spec.inputs is None else None
    if isinstance(wanted, str) and wanted:
        return wanted
    is_wanted = wanted is True or (wanted is not False and os.environ.get(REGISTER) == "1")
    return suggested_name(spec) if is_wanted else None
