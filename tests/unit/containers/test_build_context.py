"""What is sent to an engine: nothing that leads out of the source, nothing that looks like a secret."""

from __future__ import annotations

import os
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from launch_sdk.containers.context import Context
from launch_sdk.errors import InvalidSpecError


def sent(top: Path, context: Context) -> dict[str, tarfile.TarInfo]:
    with closing(context):
        context.add_tree(top, "source/")
        with tarfile.open(fileobj=context.file()) as archive:
            return {member.name: member for member in archive.getmembers()}


def test_links_out_secrets_devices_and_what_launchignore_names_stay_behind(tmp_path: Path) -> None:
    for name in (
        "run.py",
        "data/big.bin",
        ".env",
        "keys/id_rsa",
        "keys/public.pem",
        ".git/config",
        "a/__pycache__/x.pyc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".launchignore").write_text("*.bin\n!public.pem\n")
    (tmp_path / "run.sh").write_text("")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "inside").symlink_to("run.py")
    (tmp_path / "data" / "up").symlink_to("../run.py")
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "data" / "out").symlink_to("../../elsewhere")
    (tmp_path / "etc").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    context = Context()
    members = sent(tmp_path, context)
    assert set(members) == {
        *("source/run.py", "source/run.sh", "source/keys/public.pem", "source/.launchignore", "source/inside"),
        "source/data/up",
    }
    assert members["source/inside"].linkname == "run.py"
    assert (members["source/run.sh"].mode, members["source/run.py"].mode) == (0o755, 0o644)
    told = "\n".join(context.notices())
    for name in (".env", "keys/id_rsa", "passwd", "data/out", "etc", "pipe"):
        assert f"left out of the image: {name} (" in told
    assert "take it with !.env in .launchignore" in told


def test_too_much_is_refused_and_the_largest_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(3_000_000))
    (tmp_path / "run.py").write_text("")
    with pytest.raises(InvalidSpecError, match=r"more than 1 MB. Keep data out.*weights.bin \(3 MB\)"):
        sent(tmp_path, Context(max_bytes=1_000_000))
