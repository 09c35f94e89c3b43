"""`launch server start|stop|status|url`: the embedded server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_sdk.cli.command import DONE, FAILED, Parser, print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
  launch server start                        start it, or find it running
  launch server start --port 4300            ... on a port of your choice
  launch server url                          print the address of its pages"""


def main(arguments: Sequence[str]) -> int:
    """Run `launch server ACTION`."""
    parser = Parser(
        "launch server", "The embedded server: Prefect's own, on SQLite below LAUNCH_HOME, loopback only.", EXAMPLES
    )
    parser.add_argument("action", choices=("start", "stop", "status", "url"))
    parser.add_argument("--port", type=int, help="with start: the port to listen on; default: any free one")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    from launch_sdk._prefect import embedded

    if options.action == "start":
        server = embedded.start_server(options.port)
        text = f"The server is running at {server.url} (process {server.pid})."
    elif options.action == "stop":
        server = embedded.stop_server()
        text = f"Stopped the server at {server.url}." if server else "No embedded server was running."
    else:
        server = embedded.running_server()
        text = (
            f"The server is running at {server.url} (process {server.pid})." if server else "No embedded server runs."
        )
    if options.json:
        is_running = server is not None and options.action != "stop"
        details = {"url": server.url, "api_url": server.api_url, "pid": server.pid} if server else {}
        print_json({"running": is_running, **details})
    elif options.action == "url" and server:
        print(server.url)
    else:
        say(text)
    return FAILED if server is None and options.action in {"status", "url"} else DONE
