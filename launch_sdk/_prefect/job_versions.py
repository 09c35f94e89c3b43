"""The versions and aliases of jobs, as block documents of the server.

A document's name is unique for the server, so making one is how a version's number is taken: of two that want the same,
one is refused. The documents are anonymous in Prefect's sense: no page of the UI lists them.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.job import version_name
from launch_sdk.specs.job_history import JobVersion
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking.values import decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient

TYPE_NAME = "Launch Job Version"
TYPE_SLUG = "launch-job-version"
FIELDS = ("job", "queue", "number", "alias", "content", "created", "description")
PAGE = 200
_DIGITS = 20


@dataclass
class Kept:
    """What the server keeps of one job beside its deployment.

    Attributes:
        name: of the job.
        queue: that its first version was made for; None if there is no version.
        versions: every version there was, by number.
        aliases: the number that each alias stands for.
        documents: the id of each document, by its name.
    """

    name: str
    queue: str | None = None
    versions: dict[int, JobVersion] = field(default_factory=dict[int, JobVersion])
    aliases: dict[str, int] = field(default_factory=dict[str, int])
    documents: dict[str, UUID] = field(default_factory=dict[str, "UUID"])

    def take_in(self, document: str, identifier: UUID, data: Mapping[str, Any]) -> None:
        self.documents[document] = identifier
        number = int(data["number"])
        if data.get("alias"):
            self.aliases[data["alias"]] = number
            return
        content = data.get("content")
        spec = RunSpec.from_dict(cast("dict[str, Any]", decode(json.loads(content)))) if content else None
        self.versions[number] = JobVersion(number, spec, data.get("created"), data.get("description"))
        if number == min(self.versions):
            self.queue = data.get("queue")


async def read_kept(client: PrefectClient, name: str) -> Kept:
    """Read what is kept of one job; one call for the first 200 documents."""
    found = await _read(client, {"name": {"like_": f"{_key(name)}-"}})
    return found.get(name) or Kept(name)


async def read_all_kept(client: PrefectClient) -> dict[str, Kept]:
    """Read what is kept of every job, by name."""
    return await _read(client, {})


async def take_number(
    client: PrefectClient,
    kept: Kept,
    number: int,
    spec: RunSpec,
    *,
    queue: str,
    created: float | None = None,
    description: str | None = None,
) -> bool:
    """Make a version under a number; False if another has taken the number."""
    made = time.time() if created is None else created
    data = {"job": kept.name, "queue": queue, "number": number, "created": made}
    data["content"] = json.dumps(spec.to_parameters())
    data |= {"description": description} if description else {}
    return await _create(client, _version_document(kept.name, number), data)


async def set_alias(client: PrefectClient, kept: Kept, alias: str, number: int) -> None:
    """Let an alias stand for a version, wherever it stood before."""
    document = _alias_document(kept.name, alias)
    data = {"job": kept.name, "alias": alias, "number": number}
    if document in kept.documents or not await _create(client, document, data):
        found = kept.documents.get(document) or (await read_kept(client, kept.name)).documents.get(document)
        if found is not None:
            await _update(client, found, data)


async def describe_version(client: PrefectClient, kept: Kept, number: int, description: str) -> None:
    """Let people read something else of a version."""
    await _update(client, kept.documents[_version_document(kept.name, number)], {"description": description})


async def forget_version(client: PrefectClient, kept: Kept, number: int) -> None:
    """Delete the content of a version, and the aliases that stand for it; its number stays taken."""
    for alias in [alias for alias, of in kept.aliases.items() if of == number]:
        await forget_alias(client, kept, alias)
    await _update(client, kept.documents[_version_document(kept.name, number)], {"content": ""})


async def forget_alias(client: PrefectClient, kept: Kept, alias: str) -> None:
    await _delete(client, kept.documents[_alias_document(kept.name, alias)])


async def forget_job(client: PrefectClient, name: str) -> None:
    """Delete every version and alias of a job."""
    for document in (await read_kept(client, name)).documents.values():
        await _delete(client, document)


def _key(name: str) -> str:
    """What the names of a job's documents begin with: they may hold small letters, digits and dashes alone."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]


def _version_document(name: str, number: int) -> str:
    return f"{_key(name)}-{version_name(number)}"


def _alias_document(name: str, alias: str) -> str:
    return f"{_key(name)}-alias-{_key(alias)}"


async def _read(client: PrefectClient, wanted: Mapping[str, Any]) -> dict[str, Kept]:
    found: dict[str, Kept] = {}
    offset = 0
    while True:
        question = {
            "block_documents": {**wanted, "is_anonymous": {"eq_": True}},
            "block_types": {"slug": {"any_": [TYPE_SLUG]}},
            "limit": PAGE,
            "offset": offset,
        }
        page: list[Any] = (await client.request("POST", "/block_documents/filter", json=question)).json()
        for document in page:
            name = document["data"]["job"]
            found.setdefault(name, Kept(name)).take_in(document["name"], document["id"], document["data"])
        offset += len(page)
        if len(page) < PAGE:
            return found


async def _create(client: PrefectClient, document: str, data: Mapping[str, Any]) -> bool:
    from prefect.exceptions import PrefectHTTPStatusError

    type_id, schema_id = await _block_schema(client)
    wanted = {"name": document, "is_anonymous": True, "block_type_id": type_id, "block_schema_id": schema_id}
    try:
        await client.request("POST", "/block_documents/", json={**wanted, "data": dict(data)})
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.CONFLICT:
            raise
        return False
    return True


async def _update(client: PrefectClient, document: UUID, data: Mapping[str, Any]) -> None:
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    body = {"data": dict(data), "merge_existing_data": True}
    try:
        await client.request("PATCH", "/block_documents/{id}", path_params={"id": document}, json=body)
    except (ObjectNotFound, PrefectHTTPStatusError) as error:
        if not _is_gone(error):  # somebody else has deleted the job meanwhile
            raise


async def _delete(client: PrefectClient, document: UUID) -> None:
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    try:
        await client.delete_block_document(document)
    except (ObjectNotFound, PrefectHTTPStatusError) as error:
        if not _is_gone(error):
            raise


def _is_gone(error: Exception) -> bool:
    from prefect.exceptions import PrefectHTTPStatusError

    return not isinstance(error, PrefectHTTPStatusError) or error.response.status_code == HTTPStatus.NOT_FOUND


async def _block_schema(client: PrefectClient) -> tuple[str, str]:
    """Return the ids of the documents' type and schema, made if the server has none."""
    from prefect.client.schemas.actions import BlockSchemaCreate, BlockTypeCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        block_type = await client.read_block_type_by_slug(TYPE_SLUG)
    except ObjectNotFound:
        said = "A version or an alias of a job. launch job makes and deletes these."
        try:
            wanted = BlockTypeCreate(name=TYPE_NAME, slug=TYPE_SLUG, description=said)
            block_type = await client.create_block_type(wanted)
        except ObjectAlreadyExists:
            block_type = await client.read_block_type_by_slug(TYPE_SLUG)
    schema = await client.get_most_recent_block_schema_for_block_type(block_type.id)
    if schema is None:
        fields = {"title": TYPE_NAME, "type": "object", "properties": {name: {"title": name} for name in FIELDS}}
        made = BlockSchemaCreate(fields={**fields, "block_type_slug": TYPE_SLUG}, block_type_id=block_type.id)
        schema = await client.create_block_schema(made)
    return str(block_type.id), str(schema.id)
