"""`launch sweep dashboard`: Optuna's dashboard on a copy of a sweep, on this machine alone."""

from __future__ import annotations

import importlib
import sys
import webbrowser
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from launch_sdk.cli.command import DONE, print_json, say
from launch_sdk.errors import ConflictError

if TYPE_CHECKING:
    from launch_sdk.views import SweepView

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]
HOST = "127.0.0.1"
NEEDS = 'launch sweep dashboard needs Optuna\'s dashboard: pip install "launch-sdk[dashboard]"'


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """A line for each request is nothing that the person at the terminal wants."""


def show_dashboard(view: SweepView, *, as_json: bool, opens_browser: bool) -> int:
    """Serve the dashboard until Ctrl-C.

    Raises:
        ConflictError: Optuna's dashboard is not installed.
    """
    server = dashboard_server(view)
    url = f"http://{HOST}:{server.server_port}"
    if as_json:
        print_json({"sweep_id": view.sweep_id, "url": url})
        sys.stdout.flush()  # whoever reads it wants it now
    say(f"Sweep {view.sweep_id} as it is now: {url}  (Ctrl-C ends it; changes there change nothing of the sweep)")
    if opens_browser:
        webbrowser.open(url)
    with server:
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return DONE
    return DONE


def dashboard_server(view: SweepView, port: int = 0) -> WSGIServer:
    """Make a server, on loopback and a free port, of the dashboard on a copy of a sweep.

    Raises:
        ConflictError: Optuna's dashboard is not installed.
    """
    try:
        dashboard = importlib.import_module("optuna_dashboard")
    except ImportError:
        raise ConflictError(NEEDS) from None
    from launch_sdk.sweeps.study_copy import study_storage

    application = dashboard.wsgi(study_storage(view.name, view.spec, view.runs))
    server = make_server(HOST, port, _unseen, _Server, _Quiet)
    server.set_app(_for_this_machine(application, server.server_port))
    return server


def _for_this_machine(application: Application, port: int) -> Application:
    """Refuse what a page elsewhere makes a browser ask: it names another host."""
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}

    def guarded(environment: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environment.get("HTTP_HOST") in hosts:
            return application(environment, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This dashboard is for http://127.0.0.1 alone.\n"]

    return guarded


def _unseen(environment: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
    del environment
    start_response("503 Service Unavailable", [])
    return []
