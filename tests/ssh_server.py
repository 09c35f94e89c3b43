"""A real OpenSSH server on loopback, with keys of its own, for one user: whoever runs the tests."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@dataclass(frozen=True)
class SshServer:
    """A server, and the settings of a person who may log in to it.

    Attributes:
        port: on 127.0.0.1.
        user: who may log in.
        folder: with `key` (which the server knows), `other_key` (which it does not), and the server's log.
    """

    port: int
    user: str
    folder: Path

    def command(self, *, key: str = "key", knows_host: bool = True) -> str:
        """Give what a person sets as GIT_SSH_COMMAND; `box` is the server's name in it."""
        hosts = self.folder / ("known_hosts" if knows_host else "nobody")
        config = self.folder / f"config-{key}-{knows_host}"
        config.write_text(
            f"Host box\n  HostName 127.0.0.1\n  Port {self.port}\n"
            f"Host *\n  BatchMode yes\n  IdentitiesOnly yes\n  IdentityFile {self.folder / key}\n"
            f"  UserKnownHostsFile {hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )
        return f"ssh -F {config}"


@contextmanager
def serve_ssh(folder: Path) -> Generator[SshServer]:
    """Start sshd in a folder of its own; it ends with the block."""
    folder.mkdir()
    for name in ("host", "key", "other_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "key.pub").read_text())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    host = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n")
    settings = [f"ListenAddress=127.0.0.1:{port}", f"HostKey={folder / 'host'}", "PasswordAuthentication=no"]
    settings += [f"AuthorizedKeysFile={folder / 'authorized'}", f"PidFile={folder / 'pid'}", "StrictModes=no"]
    options = [
        word for setting in [*settings, "UsePAM=no", "KbdInteractiveAuthentication=no"] for word in ("-o", setting)
    ]
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd goes to drop its rights
    program = subprocess.Popen(
        [str(SSHD), "-D", "-f", "/dev/null", "-E", str(folder / "log"), *options], start_new_session=True
    )
    try:
        _wait_for(port, program, folder)
        yield SshServer(port, getpass.getuser(), folder)
    finally:
        program.terminate()
        program.wait()


def _wait_for(port: int, program: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and program.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"sshd does not listen: {(folder / 'log').read_text()}")
