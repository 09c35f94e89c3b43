"""The talk of a scheduler's program with its sweep: one JSON object a line, over a socket that the program inherits."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from launch_sdk.scheduling.desk import Desk
from launch_sdk.tracking.values import to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.scheduling.scheduler import Scheduler

VARIABLE = "LAUNCH_SCHEDULER_FD"  # number of the inherited socket
SOCKET = "LAUNCH_SCHEDULER_SOCKET"  # path of a socket to connect to, of a program that inherits none


def descriptor() -> int | None:
    """Return the number of the sweep's socket; None if no sweep has started this program."""
    if path := os.environ.pop(SOCKET, ""):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return connection.detach()
    text = os.environ.get(VARIABLE, "")
    return int(text) if text.isascii() and text.isdigit() else None


def serve(kind: type[Scheduler], number: int) -> None:
    """Answer the sweep until it says `exit` or is gone."""
    os.environ.pop(VARIABLE, None)  # what this program starts must not take itself for the scheduler
    os.set_inheritable(number, False)
    with socket.socket(fileno=number) as connection, connection.makefile("rwb") as stream:

        def send(message: Mapping[str, Any]) -> None:
            stream.write(to_text(message).encode() + b"\n")
            stream.flush()

        def receive() -> dict[str, Any] | None:
            from json import loads

            line = stream.readline()
            return loads(line) if line.endswith(b"\n") else None

        def ask(question: Mapping[str, Any]) -> Mapping[str, Any]:
            send(question)
            answer = receive()
            if answer is None:
                raise SystemExit(0)
            return answer

        desk = Desk(kind, ask)
        try:
            while (message := receive()) is not None:
                send(desk.answer(message))
                if message.get("do") == "exit":
                    return
        except (BrokenPipeError, ConnectionResetError):  # the sweep is gone; a resume starts another scheduler
            return
