"""`launch agent ...`: the agents that serve queues of this server, on any machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from launch_sdk.cli.command import DONE, Parser, print_json, say
from launch_sdk.cli.tables import print_table
from launch_sdk.errors import NotFoundError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from launch_sdk.client import LaunchClient
    from launch_sdk.queue_views import AgentView

EXAMPLES = """\
  launch agent list                          the agents, what they serve and what they run
  launch agent stop NAME                     it takes nothing new, and ends when what it runs has ended
  launch agent stop NAME --cancel            ... what it runs is cancelled
  launch-agent --queues gpu                  starts one, on this machine"""


def main(arguments: Sequence[str]) -> int:
    """Run `launch agent ACTION ...`."""
    parser = Parser("launch agent", "Look after the agents of the server, on any machine.", EXAMPLES)
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (text, takes_name, _) in ACTIONS.items():
        command = commands.add_parser(name, help=text, description=text)
        if takes_name:
            command.add_argument("name", metavar="NAME")
        if name == "stop":
            command.add_argument("--cancel", action="store_true", help="cancel what it runs")
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        ACTIONS[options.action][2](client, options)
    return DONE


def _list(client: LaunchClient, options: argparse.Namespace) -> None:
    agents = client.agents()
    if options.json:
        print_json([agent.to_json() for agent in agents])
        return
    rows = [
        (agent.name, agent.state, ", ".join(agent.queues), _places(agent), agent.host or "", _seen(agent))
        for agent in agents
    ]
    print_table(("agent", "state", "queues", "runs", "host", "heard of"), rows)


def _show(client: LaunchClient, options: argparse.Namespace) -> None:
    found = _named(client.agents(), options.name)
    if options.json:
        print_json(found[0].to_json())
        return
    for agent in found:
        rows = [
            ("name", agent.name),
            ("state", agent.state),
            ("queues", ", ".join(agent.queues)),
            ("process", f"{agent.pid} on {agent.host}" if agent.pid is not None else "a worker of Prefect's own"),
            ("runs", _places(agent)),
            *((f"{kind} free", f"{agent.free.get(kind, 0)} of {count}") for kind, count in agent.devices.items()),
            *((("sweep" if run.is_sweep else "run"), f"{run.run_id} {run.name}") for run in agent.runs),
            ("heard of", _seen(agent)),
        ]
        print_table(("field", "value"), rows)


def _stop(client: LaunchClient, options: argparse.Namespace) -> None:
    agent = client.stop_agent(options.name, cancel=options.cancel)
    if options.json:
        print_json(agent.to_json())
        return
    ending = "what it runs is cancelled" if options.cancel else "it ends when what it runs has ended"
    say(f"Asked agent {agent.name} to take nothing new; {ending}. It hears of this within seconds.")


def _named(agents: Sequence[AgentView], name: str) -> list[AgentView]:
    found = [agent for agent in agents if agent.name == name]
    if not found:
        known = ", ".join(repr(agent.name) for agent in agents) or "none"
        raise NotFoundError(f"No agent is called {name!r}; there are {known}.")
    return found


def _places(agent: AgentView) -> str:
    limit = agent.limit(sweeps=False)
    if limit is None:
        return ""
    led = agent.count(sweeps=True)
    most = "" if limit < 0 else f" of {limit}"
    return f"{agent.count(sweeps=False)}{most}" + (f", {led} sweeps" if led else "")


def _seen(agent: AgentView) -> str:
    return "" if agent.last_seen is None else f"{max(time.time() - agent.last_seen, 0):.0f} s ago"


ACTIONS: dict[str, tuple[str, bool, Callable[[LaunchClient, argparse.Namespace], None]]] = {
    "list": ("List the agents.", False, _list),
    "show": ("Show an agent: what it serves, and what it runs.", True, _show),
    "stop": ("Have an agent take nothing new and end.", True, _stop),
}
