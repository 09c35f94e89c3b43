"""One build by an engine: its output line by line, its last lines if it fails, and no stage of it left behind."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers.generated import BUILD_LABEL
from launch_sdk.environments.requirements import without_password
from launch_sdk.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import IO

LAST_LINES: Final = 25
MACHINES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NOISE = ("--->", "Removing intermediate container", "Successfully built")


async def build(
    api: Any,
    context: IO[bytes],
    *,
    tag: str,
    dockerfile: str,
    what: str,
    on_lines: Callable[[list[str]], None],
    network: str | None = None,
    limits: Mapping[str, Any] | None = None,
) -> None:
    """Have an engine build an image.

    Args:
        api: the engine.
        context: tar file, at its beginning.
        tag: what to call the image.
        dockerfile: name of the Dockerfile in the context.
        what: the image, for people.
        on_lines: given each batch of output.
        network: that its commands have; None for the engine's default.
        limits: of its commands: words of the engine's own, as `arguments.build_limits` gives them.

    Raises:
        RunFailedError: it cannot be built; with its last lines.
    """

    def start() -> Iterable[Mapping[str, Any]]:
        before, api.params = api.params, {**api.params, **(limits or {})}  # the SDK itself knows half of the limits
        try:
            return api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                dockerfile=dockerfile,
                network_mode=network,
                rm=True,
                forcerm=True,
                decode=True,
                use_config_proxy=False,  # a proxy's password must not become an argument of the build
            )
        finally:
            api.params = before

    await follow(start, f"{what} could not be built, so the program was not started", on_lines)


async def follow(
    start: Callable[[], Iterable[Mapping[str, Any]]], failure: str, on_lines: Callable[[list[str]], None]
) -> None:
    """Pass on what an engine says of something that takes time, until it is done.

    A thread reads; it ends with this process, and with its connection the engine's work does.

    Raises:
        RunFailedError: the engine reports an error; with its last lines.
    """
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    lines: deque[str] = deque(maxlen=LAST_LINES)
    faults: list[str] = []
    stopped = threading.Event()

    def tell(said: list[str]) -> None:
        lines.extend(said)
        if said:
            on_lines(said)

    def read() -> None:
        reader = _Reader()
        try:
            for event in start():
                if stopped.is_set():
                    return
                tell(reader(event))
                if error := event.get("error"):
                    faults.append(without_password(str(error)))
            tell(reader.end())
        except Exception as error:  # noqa: BLE001  # the engine's, of whichever kind: each has its words
            faults.append(engine_message(error))
        finally:
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=read, name="engine", daemon=True).start()
    try:
        await done.wait()
    finally:
        stopped.set()
    if faults:
        told = "\n".join([*lines, *(fault for fault in faults if fault not in lines)])
        raise RunFailedError(f"{failure}. The engine said:\n{told}")


def engine_message(error: Exception) -> str:
    """Give the words of an error of the Docker SDK, without passwords."""
    return without_password(str(getattr(error, "explanation", None) or error))


def machine_fault(engine: str, own: str) -> str | None:
    """Say why an engine cannot run this machine's uv; None if it can.

    Args:
        engine: its architecture, as engines have it: `amd64`.
        own: that of this machine, as the kernel has it: `x86_64`.
    """
    named = MACHINES.get(own, own)
    if MACHINES.get(engine, engine) == named:
        return None
    return (
        f"The engine is of a {engine} machine, and uv, which installs an image's packages, is made for {named} here."
        " Let an agent on a machine of the engine's kind build it, or name an image that has the packages: -d IMAGE"
    )


def forget_stage(api: Any, build_name: str) -> None:
    """Delete what is left of a stage: nothing of it is needed again, and it may know a password."""
    try:
        api.prune_images(filters={"dangling": True, "label": f"{BUILD_LABEL}={build_name}"})
    except Exception as error:
        raise RunFailedError(
            f"The stage of build {build_name} could not be deleted from the engine: {engine_message(error)}."
            f" Delete it: docker image prune --filter label={BUILD_LABEL}={build_name}"
        ) from error


class _Reader:
    """Puts lines together from what an engine sends: pieces of output, coloured, between its own notes."""

    def __init__(self) -> None:
        self._rest = ""

    def __call__(self, event: Mapping[str, Any]) -> list[str]:
        """Give the lines that an event completes: no identifiers of layers, no progress bars."""
        if "stream" not in event:
            status = f"{event.get('id', '')} {event['status']}".strip() if event.get("status") else ""
            return [without_password(status)] if status and "progress" not in event else []
        *lines, self._rest = (self._rest + _COLOUR.sub("", str(event["stream"]))).split("\n")
        return _worth_reading(lines)

    def end(self) -> list[str]:
        """Give what is left."""
        return _worth_reading([self._rest])


def _worth_reading(lines: Iterable[str]) -> list[str]:
    shown = (without_password(line.strip("\r ")) for line in lines)
    return [line for line in shown if line and not line.startswith(_NOISE)]
