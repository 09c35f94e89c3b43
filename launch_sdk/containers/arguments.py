"""Resource arguments as the engine's API has them. Nothing here is ever a command line of `docker`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.specs.container_arguments import size_in_bytes
from launch_sdk.specs.queue_containers import volume_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from launch_sdk.containers.inside import Mount
    from launch_sdk.containers.settled import SettledContainer

GIGA: Final = 10**9
_ARGUMENTS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "cpu-period": ("cpu_period", int),
    "cpu-quota": ("cpu_quota", int),
    "cpu-shares": ("cpu_shares", int),
    "cpus": ("nano_cpus", lambda value: int(float(value) * GIGA)),
    "cpuset-cpus": ("cpuset_cpus", str),
    "cpuset-mems": ("cpuset_mems", str),
    "memory": ("mem_limit", size_in_bytes),
    "memory-reservation": ("mem_reservation", size_in_bytes),
    "memory-swap": ("memswap_limit", lambda value: -1 if str(value).strip() == "-1" else size_in_bytes(value)),
    "pids-limit": ("pids_limit", int),
    "shm-size": ("shm_size", size_in_bytes),
}
CPU_PERIOD_US: Final = 100_000  # the kernel's own
_OF_BUILDS: Mapping[str, str] = {
    "cpu-period": "cpuperiod",
    "cpu-quota": "cpuquota",
    "cpu-shares": "cpushares",
    "cpuset-cpus": "cpusetcpus",
    "cpuset-mems": "cpusetmems",
    "memory": "memory",
    "memory-swap": "memswap",
    "shm-size": "shmsize",
}


def host_config(
    api: Any, settled: SettledContainer, mounts: Sequence[Mount], *, has_init: bool, share: Mapping[str, str]
) -> Any:
    """Make the part of the engine's request that is about the machine.

    Args:
        api: the engine.
        settled: the container.
        mounts: folders of the run.
        has_init: whether the engine's own init is the container's first process, which passes signals on.
        share: the run's share of the machine, as `gpus` and `cpus`, in the forms of the arguments.
    """
    from docker.types import LogConfig
    from docker.types import Mount as Bound

    own = settled.own
    args = {**settled.args, **({"cpuset-cpus": share["cpus"]} if "cpus" in share else {})}
    given = {name: read(args[key]) for key, (name, read) in _ARGUMENTS.items() if key in args}
    bound = [Bound(one.target, str(one.source), type="bind", read_only=one.read_only) for one in mounts]
    for volume in own.volumes:
        source, target, mode = volume_parts(volume)
        bound.append(Bound(target, source, type="bind", read_only=mode == "ro"))
    has_privileges = own.privileged or own.cap_add
    gpus = share.get("gpus") or args.get("gpus")
    return api.create_host_config(
        **given,
        mounts=bound,
        init=has_init,
        network_mode=own.network or "bridge",
        privileged=own.privileged,
        devices=list(own.devices),
        cap_add=list(own.cap_add),
        security_opt=None if has_privileges else ["no-new-privileges"],
        ulimits=[_ulimit(word) for word in args.get("ulimit", [])],
        device_requests=[_gpus(gpus)] if gpus else None,
        log_config=LogConfig(type="none"),  # its output is read as it comes, and kept in the run directory alone
    )


def build_limits(args: Mapping[str, Any]) -> dict[str, Any]:
    """Give the limits of a build's commands by the engine's words for them, from resource arguments."""
    limits = {word: _ARGUMENTS[key][1](args[key]) for key, word in _OF_BUILDS.items() if key in args}
    if "cpus" in args:  # a build has no word for it, and this is what it means
        limits |= {"cpuperiod": CPU_PERIOD_US, "cpuquota": int(float(args["cpus"]) * CPU_PERIOD_US)}
    return limits


def share_of(resources: Mapping[str, int], environment: Mapping[str, str]) -> dict[str, str]:
    """Give what the agent has set apart for this process of its machine, if its run asks for that.

    Args:
        resources: what the run asks for.
        environment: of this process, in which the agent names the GPUs.
    """
    share: dict[str, str] = {}
    if resources.get("gpu") and (named := environment.get("CUDA_VISIBLE_DEVICES")):
        share["gpus"] = f"device={named}"
    if resources.get("cpu"):
        share["cpus"] = ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))
    return share


def _ulimit(word: str) -> Any:
    from docker.types import Ulimit

    name, _, limits = word.partition("=")
    soft, _, hard = limits.partition(":")
    return Ulimit(name=name, soft=int(soft), hard=int(hard or soft))


def _gpus(wanted: Any) -> Any:
    from docker.types import DeviceRequest

    text = str(wanted)
    capabilities = [["gpu"]]
    if text.startswith("device="):
        return DeviceRequest(device_ids=text.removeprefix("device=").split(","), capabilities=capabilities)
    return DeviceRequest(count=-1 if text == "all" else int(text), capabilities=capabilities)
