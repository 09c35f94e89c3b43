"""The warm process: imports Prefect and the product's flows once, then forks a guard for every run.

    python -P -m launch_sdk.agent.warm '{"project": "/path", "flows": {"flows/a.py:a": "flows.a:a"}}'

Standard input is a socket; each message on it carries, as a file descriptor, the socket of one run (see `wire.py`). Its
end means that the agent is gone. It must stay single-threaded, or what it forks is undefined: it runs no flow, opens no
client and writes no log of Prefect's, for each of these starts a thread.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from launch_sdk.agent.child import become_flow
from launch_sdk.agent.guard import Beside, Overseers, guard, settle
from launch_sdk.agent.left_container import remove_left_container
from launch_sdk.agent.wire import read_order

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a flow run imports on its way to the first line of user code; each is worth milliseconds in every run.
PREFECT_MODULES = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.flow_runs",
    "prefect.client.orchestration",
    "prefect.deployments.steps.core",
    "prefect.deployments.steps.pull",
    "prefect.events.clients",
    "prefect.events.worker",
    "prefect.logging.handlers",
    "prefect.filesystems",
    "prefect.blocks.core",
    "prefect.artifacts",
    "prefect.input",
    "prefect.telemetry.run_telemetry",
    "prefect._internal.control_listener",
    "prefect._internal.metrics",
    "anyio._backends._asyncio",
    "encodings.idna",
    "h11",
    "pydantic.v1",
    "rich._emoji_codes",
    "rich.markup",
)


@dataclass(frozen=True)
class Preloaded:
    """What the children find ready.

    Attributes:
        project: the Prefect project's folder, on `sys.path` while its flows are imported; None without one.
        flows: the imported flow objects, by deployment entry point.
        settings_env: the `PREFECT_*` settings that Prefect was imported with.
    """

    project: str | None = None
    flows: dict[str, Any] = field(default_factory=dict[str, Any])
    settings_env: dict[str, str] = field(default_factory=dict[str, str])


def settings_of(env: dict[str, str]) -> dict[str, str]:
    """Pick Prefect's settings out of an environment (`PREFECT__*` are identifiers of a run, not settings)."""
    return {k: v for k, v in env.items() if k.startswith("PREFECT_") and not k.startswith("PREFECT__")}


def preload(project: str | None, flows: dict[str, str], modules: Sequence[str] = ()) -> Preloaded:
    """Import Prefect and the named flows; one that cannot be imported is left to the child, which reports why."""
    for module in PREFECT_MODULES:
        _import(module)
    for module in modules:
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            _import(module)
    if project is not None:
        sys.path.insert(0, project)
    ready: dict[str, Any] = {}
    for entrypoint, target in flows.items():
        module_name, _, attribute = target.partition(":")
        flow = getattr(_import(module_name), attribute, None)
        if flow is not None:
            ready[entrypoint] = flow
    return Preloaded(project, ready, settings_of(dict(os.environ)))


def _import(name: str) -> object:
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  # whatever a module raises on import, the agent must go on without it
        print(f"launch agent: cannot preload {name}: {error!r}", file=sys.stderr)  # noqa: T201  # no logger: see above
        return None


def other_threads() -> list[str]:
    """Name the threads that some preloaded module has started; forking beside them is undefined."""
    return [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]


def _start_again_without_flows(threads: list[str]) -> NoReturn:
    print(f"launch agent: preloading started threads ({', '.join(threads)}); going on without", file=sys.stderr)  # noqa: T201  # no logger: see above
    sys.stderr.flush()
    plan = json.dumps({"project": None, "flows": {}, "modules": []})
    os.execv(sys.executable, [sys.executable, "-P", "-m", "launch_sdk.agent.warm", plan])  # noqa: S606  # the same program again


def serve(control: socket.socket, preloaded: Preloaded) -> None:
    """Fork a guard for every run that the agent announces, until the agent is gone."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 16, 1)
        if not message:
            return
        for descriptor in descriptors:
            if os.fork() == 0:
                control.close()
                _become_guard(socket.socket(fileno=descriptor), preloaded)
            os.close(descriptor)


def _become_guard(connection: socket.socket, preloaded: Preloaded) -> NoReturn:
    code = 1
    try:
        settle()
        order = read_order(connection)
        if order is not None:  # else the agent has gone before it was whole
            beside = Beside(*socket.socketpair()) if order.preloaded is not None else None
            lifeline = beside.lifeline if beside is not None else None
            guard(Overseers(connection), partial(become_flow, order, preloaded, lifeline), beside)
            remove_left_container(order)
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    plan = json.loads(sys.argv[1])
    preloaded = preload(plan["project"], plan["flows"], plan["modules"])
    from prefect.logging.configuration import setup_logging  # not before `preload` has reported faults

    from launch_sdk.agent.warming import warm_up

    setup_logging()
    warm_up()
    if threads := other_threads():
        if not plan["flows"]:
            raise SystemExit(f"launch agent: importing Prefect started threads ({', '.join(threads)})")
        _start_again_without_flows(threads)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards report to the agent; the kernel may reap them
    gc.collect()
    gc.freeze()  # keep the shared pages shared: no collection in a child touches what exists now
    control = socket.socket(fileno=os.dup(0))
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    serve(control, preloaded)


if __name__ == "__main__":
    main()
