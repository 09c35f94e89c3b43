"""`launch queue ...`: making queues, looking after them, and what waits on them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.cli.command import DONE, Parser, print_json, say
from launch_sdk.cli.tables import print_table
from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import CONTAINER_NAMES, RESOURCE_NAMES
from launch_sdk.specs.queue_config import (
    PRIVATE,
    SHARED,
    QueueConfig,
    check_queue_name,
    parse_queue_config,
    queue_document,
    resource_fault,
    submitter,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from launch_sdk.client import LaunchClient
    from launch_sdk.queue_views import QueueView

EXAMPLES = """\
  launch queue create gpu                    then serve it: launch-agent --queues gpu
  launch queue create gpu -c queue.yaml      with variables for its programs, and templates that submitters fill
  launch queue list                          the queues, and whether anybody serves them
  launch queue items gpu                     what is on it, in the order of its turn, and why it waits
  launch queue items gpu --delete RUN        take a run off that waits
  launch queue pause gpu                     what runs goes on; launch queue resume gpu"""


def main(arguments: Sequence[str]) -> int:
    """Run `launch queue ACTION ...`."""
    parser = Parser("launch queue", "Look after the queues on the server.", EXAMPLES)
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (text, takes_name, _) in ACTIONS.items():
        command = commands.add_parser(name, help=text, description=text)
        if takes_name:
            command.add_argument("name", metavar="NAME")
        if name in {"create", "update"}:
            _add_config(command)
        if name == "items":
            command.add_argument("--delete", metavar="RUN", help="take this run off, which waits; it ends as cancelled")
        if name == "list":
            command.add_argument("--limit", type=int, default=200, help="how many at most (default 200)")
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    options.queue_config = _config(options) if options.action == "create" else None  # before a server is started for it
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        ACTIONS[options.action][2](client, options)
    return DONE


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-c",
        "--config",
        metavar="FILE|JSON",
        help="description, access, resource_args.env, template_variables: a YAML or JSON file, or JSON",
    )
    command.add_argument("-r", "--resource", help="process (the default) or container: what its runs are")
    command.add_argument("--description", help="for people")
    access = command.add_mutually_exclusive_group()
    access.add_argument("--private", action="store_const", const=PRIVATE, dest="access", help="only you may submit")
    access.add_argument("--shared", action="store_const", const=SHARED, dest="access", help="everybody may submit")


def _config(options: argparse.Namespace, below: QueueConfig | None = None) -> QueueConfig:
    """Lay the options over the file, and that over what the queue has."""
    owner = submitter()
    if options.action == "create":
        check_queue_name(options.name)
    resource = options.resource
    if resource is not None and resource not in RESOURCE_NAMES:
        raise InvalidSpecError("The command line", [Fault("--resource", resource_fault(resource))])
    given = _read(options, owner) if options.config is not None else below or QueueConfig()
    if resource is not None and (resource in CONTAINER_NAMES) != (given.container is not None):
        given = replace(given, container={} if resource in CONTAINER_NAMES else None)
    if options.description is not None:
        given = replace(given, description=options.description)
    if options.access is not None:
        given = replace(given, owner=owner if options.access == PRIVATE else None)
    return given


def _read(options: argparse.Namespace, owner: str) -> QueueConfig:
    """Read the file; `--resource` stands for a `resource` that it does not say."""
    document = queue_document(options.config)
    value: Any = document.value
    if options.resource is not None and isinstance(value, dict) and "resource" not in value:
        document = replace(document, value={**cast("dict[str, Any]", value), "resource": options.resource})
    return parse_queue_config(document, owner)


def _create(client: LaunchClient, options: argparse.Namespace) -> None:
    client.create_queue(options.name, options.queue_config)
    if options.json:
        print_json(client.queue(options.name).refresh().to_json())
    else:
        say(f"Created queue {options.name!r}. Serve it: launch-agent --queues {options.name}")


def _list(client: LaunchClient, options: argparse.Namespace) -> None:
    views = client.queue_views()[: options.limit]
    if options.json:
        print_json([view.to_json() for view in views])
        return
    rows = [(view.name, view.state, len(view.agents), view.waiting, view.running, view.config.access) for view in views]
    print_table(("queue", "state", "agents", "waiting", "running", "access"), rows)


def _show(client: LaunchClient, options: argparse.Namespace) -> None:
    view = client.queue(options.name).refresh()
    if options.json:
        print_json(view.to_json())
        return
    print_table(("field", "value"), _rows(view))
    if view.config.env:
        env = [(name, "(the agent's)" if value is None else value) for name, value in view.config.env.items()]
        print_table(("variable of its programs", "value"), env)
    if view.config.container:
        print_table(("of its containers", "value"), [(key, _value(one)) for key, one in view.config.container.items()])
    if view.config.variables:
        rows = [(name, _described(schema)) for name, schema in view.config.variables.items()]
        print_table(("--set-var", "takes"), rows)


def _rows(view: QueueView) -> list[tuple[str, str]]:
    limit = view.concurrency_limit
    return [
        ("name", view.name),
        ("state", view.state),
        *([("description", view.config.description)] if view.config.description else []),
        ("runs are", "containers" if view.config.container is not None else "processes"),
        ("access", f"private to {view.config.owner}" if view.config.owner else SHARED),
        ("agents", ", ".join(view.agents) or f"none; start one: launch-agent --queues {view.name}"),
        *[("trouble", f"{agent}: {told}") for agent, told in view.trouble.items()],
        ("waiting", str(view.waiting)),
        ("running", str(view.running)),
        *([("concurrency limit", f"{limit}, set in the Prefect UI")] if limit is not None else []),
        ("url", view.url),
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _described(schema: Any) -> str:
    return ", ".join(f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in schema.items())


def _items(client: LaunchClient, options: argparse.Namespace) -> None:
    queue = client.queue(options.name)
    if options.delete is not None:
        run_id = queue.delete_item(options.delete)
        if options.json:
            print_json({"deleted": run_id})
        else:
            say(f"Took run {run_id} off queue {options.name!r}.")
        return
    items = queue.items()
    if options.json:
        print_json([item.to_json() for item in items])
        return
    now = time.time()
    rows = [
        (
            item.run_id,
            item.name,
            item.state.value,
            item.priority.label if item.priority is not None else "(sweep)",
            f"{max(now - item.submitted, 0):.0f} s ago" if item.submitted is not None else "",
            item.waits or "",
        )
        for item in items
    ]
    print_table(("run", "name", "state", "priority", "submitted", "why it waits"), rows)


def _update(client: LaunchClient, options: argparse.Namespace) -> None:
    if options.config is options.description is options.access is options.resource is None:
        fault = Fault("", f"nothing to change: launch queue update {options.name} -c FILE, --description, --private")
        raise InvalidSpecError("The command line", [fault])
    queue = client.queue(options.name)
    queue.update(_config(options, queue.refresh().config))
    _tell(client, options, f"Changed queue {options.name!r}; what waits on it keeps what it was given.")


def _pause(client: LaunchClient, options: argparse.Namespace) -> None:
    client.queue(options.name).pause()
    _tell(
        client, options, f"Paused queue {options.name!r}; what runs goes on. Go on: launch queue resume {options.name}"
    )


def _resume(client: LaunchClient, options: argparse.Namespace) -> None:
    client.queue(options.name).resume()
    _tell(client, options, f"Agents take runs of queue {options.name!r} again.")


def _tell(client: LaunchClient, options: argparse.Namespace, text: str) -> None:
    if options.json:
        print_json(client.queue(options.name).refresh().to_json())
    else:
        say(text)


def _delete(client: LaunchClient, options: argparse.Namespace) -> None:
    waited = client.queue(options.name).delete()
    if options.json:
        print_json({"deleted": options.name, "cancelled": waited})
    else:
        say(f"Deleted queue {options.name!r}; {waited} that waited {'was' if waited == 1 else 'were'} cancelled.")


ACTIONS: dict[str, tuple[str, bool, Callable[[LaunchClient, argparse.Namespace], None]]] = {
    "create": ("Make a queue.", True, _create),
    "list": ("List the queues.", False, _list),
    "show": ("Show a queue: who serves it, what its programs get, what submitters may choose.", True, _show),
    "items": ("List what is on a queue, with why it waits; or take a waiting run off.", True, _items),
    "update": ("Change what a queue gives its programs, and who may submit.", True, _update),
    "pause": ("Give agents nothing of a queue; what runs goes on.", True, _pause),
    "resume": ("Let agents take runs of a queue again.", True, _resume),
    "delete": ("Delete a queue: what waits on it ends, what runs goes on.", True, _delete),
}
