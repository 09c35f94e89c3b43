"""Engines that are not there, that stop, and that are killed while they run something."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from launch_sdk.containers.engine import EngineLostError, connect, engine_fault, quick_fault
from launch_sdk.containers.removal import Remembered, remembered, remove_lost
from tests.engines import engine, own_engine, shell_image
from tests.integration.containers.conftest import Lab


def test_an_engine_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    assert "Install and start Docker" in (engine_fault(f"unix://{tmp_path}/none.sock") or "")
    import socket

    with socket.socket(socket.AF_UNIX) as left:  # as a dockerd that was killed leaves it
        left.bind(str(tmp_path / "left.sock"))
    for ask in (engine_fault, quick_fault):
        told = ask(f"unix://{tmp_path}/left.sock")
        assert told is not None
        assert "is stopped. Start it" in told
        assert "\n" not in told
    assert "does not answer" in (engine_fault("tcp://127.0.0.1:1") or "")


def test_an_engine_that_is_killed_ends_its_run_at_once_and_nothing_of_the_program_is_left(lab: Lab) -> None:
    with own_engine(lab.folder) as own:
        image = shell_image(connect(own.address).api)
        pids: list[int] = []

        async def killed() -> None:
            started = asyncio.Event()
            lab.on_lines = lambda lines: started.set() if "started" in lines else None
            script = "#!/bin/sh\necho started\nsleep 60\n"
            running = asyncio.create_task(
                lab.running(script, {"image": image}, queue={"network": "none"}, engine=own.address)
            )
            await asyncio.wait_for(started.wait(), 30)
            api = connect(own.address).api
            pids.append(int(api.inspect_container(f"launch-{lab.run_id}")["State"]["Pid"]))
            own.kill()
            with pytest.raises(EngineLostError, match="went away while 'sh' ran in it"):
                await asyncio.wait_for(running, 30)

        asyncio.run(killed())
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pids[0]}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{pids[0]}").exists(), "the program outlived its run"
        noted = remembered(Path(os.environ["LAUNCH_HOME"]))
        assert [one.name for one in noted] == [f"launch-{lab.run_id}"]
        own.start_again()
        again = lab.run(
            "#!/bin/sh\necho again", {"image": image}, queue={"network": "none"}, engine=own.address, attempt=2
        )
        assert "again" in again.lines
        assert remembered(Path(os.environ["LAUNCH_HOME"])) == []
        connect(own.address).close()


def test_the_container_of_a_run_whose_process_is_gone_is_removed_by_whoever_looks(lab: Lab, shell: str) -> None:
    api = engine().api
    home = Path(os.environ["LAUNCH_HOME"])
    for run_id, process in ((f"containers-{lab.name}-dead", "h:1:1"), (f"containers-{lab.name}-alive", "h:2:2")):
        noted = Remembered.of(home, run_id, None, process)
        noted.write()
        api.create_container(shell, ["sleep", "60"], name=noted.name)
        api.start(noted.name)
    removed = remove_lost(home, lambda process: process == "h:1:1")
    assert removed == [f"launch-containers-{lab.name}-dead"]
    assert lab.left() == [f"/launch-containers-{lab.name}-alive"]
    assert remove_lost(home, lambda _: True) == [f"launch-containers-{lab.name}-alive"]
    assert lab.left() == []
