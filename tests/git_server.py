"""A real git server on loopback: `git http-backend` behind Python's HTTP server, as a web server has it."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT_OF_NOBODY = 1


@dataclass
class GitServer:
    """A server of the repositories below a folder.

    Attributes:
        root: the folder.
        url: of the server, without a slash at its end.
        login: `user:password` that it asks for; None if it asks nobody.
        moved_to: another server that requests are sent on to.
        requests: method, path and login of each, in the order of arrival.
        watched_for: a text that no process may have among its arguments while it answers.
        seen: the arguments that held it.
    """

    root: Path
    url: str = ""
    login: str | None = None
    moved_to: str | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list[tuple[str, str, str | None]])
    watched_for: bytes | None = None
    seen: list[bytes] = field(default_factory=list[bytes])

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def with_login(self, login: str) -> str:
        return self.url.replace("://", f"://{login}@")

    def transfers(self) -> int:
        """Count what was more than asking for the names of branches."""
        return sum(method == "POST" for method, _, _ in self.requests)


@contextmanager
def serve(root: Path) -> Generator[GitServer]:
    found = GitServer(root)

    class Handler(_Handler):
        server_of_git = found

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_of_git: GitServer
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the class above
        """Say nothing."""

    def _answer(self) -> None:
        server = self.server_of_git
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.headers.get("Authorization")
        server.requests.append((self.command, self.path, given))
        if server.watched_for is not None:
            server.seen += [line for line in _arguments_of_all() if server.watched_for in line]
        if server.moved_to is not None:
            self._say(302, ("Location", server.moved_to + self.path))
        elif server.login is not None and given != f"Basic {base64.b64encode(server.login.encode()).decode()}":
            self._say(401, ("WWW-Authenticate", 'Basic realm="git"'))
        else:
            self._run_backend(body)

    def _say(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.end_headers()

    def _run_backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self.server_of_git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self._say(status, *((name, value) for name, value in headers if name != "Status"))
        self.wfile.write(content)


def _arguments_of_all() -> list[bytes]:
    found: list[bytes] = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes())
        except OSError:
            continue
    return found
