"""The options of `launch` that say when a run starts again, how long it may take and what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.run_policy import AGENT_LOSS, policy_faults

if TYPE_CHECKING:
    import argparse

_OPTIONS = {
    "retries": "--retries",
    "retry_delay_s": "--retry-delay",
    "retry_on": "--retry-on",
    "start_timeout_s": "--start-timeout",
    "run_timeout_s": "--run-timeout",
    "on_agent_loss": "--on-agent-loss",
}


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("when things go wrong (of a run on a queue, but for the time-outs)")
    group.add_argument("--retries", type=int, metavar="N", help="start again so often after a failure")
    group.add_argument("--retry-delay", type=float, metavar="SECONDS", help="... this long after it")
    group.add_argument("--retry-on", metavar="CODE,...", help="... of these exit codes alone; -9 is signal 9")
    group.add_argument("--start-timeout", type=float, metavar="SECONDS", help="give up making its environment then")
    group.add_argument("--run-timeout", type=float, metavar="SECONDS", help="end the program then, as failed")
    group.add_argument("--on-agent-loss", choices=AGENT_LOSS, help="when its agent dies; default: requeue")
    parser.add_argument("--resources", metavar="gpu=N,cpu=N", help="what it gets of the agent's machine for itself")


def policy_of(options: argparse.Namespace) -> dict[str, Any]:
    """Give the policy that the options say, in its plain form.

    Raises:
        InvalidSpecError: with every fault at once, by option.
    """
    said = {key: getattr(options, option.removeprefix("--").replace("-", "_")) for key, option in _OPTIONS.items()}
    if said["retry_on"] is not None:
        said["retry_on"] = [_code(word.strip()) for word in said["retry_on"].split(",")]
    given = {key: value for key, value in said.items() if value is not None}
    if faults := policy_faults(given):
        raise InvalidSpecError("The command", [Fault(_OPTIONS[fault.path], fault.message) for fault in faults])
    return given


def _code(word: str) -> int | str:
    try:
        return int(word)
    except ValueError:
        return word
