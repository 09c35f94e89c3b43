"""The GPUs and CPU cores of an agent's machine: which run has which of them for itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.resources import resource_faults

if TYPE_CHECKING:
    from uuid import UUID

CUDA = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Share:
    """What one run has of the machine.

    Attributes:
        gpus: names of its GPUs, as `CUDA_VISIBLE_DEVICES` has them; None leaves them to the program.
        cpus: numbers of its cores; empty leaves it all of the agent's.
    """

    gpus: tuple[str, ...] | None = None
    cpus: tuple[int, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that hold a program to its share."""
        threads = {"OMP_NUM_THREADS": str(len(self.cpus))} if self.cpus else {}
        return threads | ({CUDA: ",".join(self.gpus)} if self.gpus is not None else {})


class Devices:
    """What can be given to runs, and who has it. A run that asks for nothing has nothing for itself."""

    def __init__(self, gpus: Sequence[str] = (), cpus: Sequence[int] = (), *, hides_gpus: bool = False) -> None:
        """Take stock.

        Args:
            gpus: their names.
            cpus: their numbers.
            hides_gpus: whether a run that asks for no GPU sees none.
        """
        self._gpus, self._cpus = tuple(gpus), tuple(cpus)
        self._free_gpus, self._free_cpus = list(gpus), list(cpus)
        self.total = {"gpu": len(gpus), "cpu": len(cpus)}
        self._hides_gpus = hides_gpus
        self._held: dict[UUID, tuple[tuple[str, ...], tuple[int, ...]]] = {}

    @property
    def free(self) -> dict[str, int]:
        """How much of each kind nobody has."""
        return {"gpu": len(self._free_gpus), "cpu": len(self._free_cpus)}

    def could_hold(self, needs: Mapping[str, int]) -> bool:
        """Whether a run could ever have what it asks for."""
        return all(count <= self.total.get(kind, 0) for kind, count in needs.items())

    def take(self, run: UUID, needs: Mapping[str, int]) -> bool:
        """Give a run what it asks for; False, and nothing, if not all of it is free."""
        gpus, cpus = needs.get("gpu", 0), needs.get("cpu", 0)
        if gpus > len(self._free_gpus) or cpus > len(self._free_cpus):
            return False
        if gpus or cpus:
            self._held[run] = tuple(self._free_gpus[:gpus]), tuple(self._free_cpus[:cpus])
            del self._free_gpus[:gpus], self._free_cpus[:cpus]
        return True

    def give_back(self, run: UUID) -> None:
        """Take back what a run had; a run is given devices in the order in which the agent names them."""
        gpus, cpus = self._held.pop(run, ((), ()))
        self._free_gpus = sorted([*self._free_gpus, *gpus], key=self._gpus.index)
        self._free_cpus = sorted([*self._free_cpus, *cpus], key=self._cpus.index)

    def share_of(self, run: UUID) -> Share:
        gpus, cpus = self._held.get(run, ((), ()))
        return Share(gpus if gpus or self._hides_gpus else None, cpus)


def devices_of(slots: Mapping[str, int] | None, environment: Mapping[str, str] | None = None) -> Devices:
    """Find what this machine has to give.

    Args:
        slots: how many GPUs and cores runs may have, by kind; a kind that is not named, or None, is all there are.
        environment: of the agent; None for that of this process.

    Raises:
        InvalidSpecError: more is given than there is; every fault at once.
    """
    given = slots or {}
    named = (os.environ if environment is None else environment).get(CUDA)
    seen = [word.strip() for word in (named or "").split(",") if word.strip()] if named is not None else _installed()
    cores = sorted(os.sched_getaffinity(0))
    faults = resource_faults(given)
    if named is not None and given.get("gpu", 0) > len(seen):
        faults.append(Fault("gpu", f"is {given['gpu']}, but {CUDA} names {len(seen)}; name more there, or give fewer"))
    if given.get("cpu", 0) > len(cores):
        faults.append(Fault("cpu", f"is {given['cpu']}, but this agent may use {len(cores)} cores"))
    if faults:
        raise InvalidSpecError("The agent's slots", faults)
    wanted = given.get("gpu", len(seen))
    gpus = seen[:wanted] if named is not None else [str(number) for number in range(wanted)]
    return Devices(gpus, cores[: given.get("cpu", len(cores))], hides_gpus="gpu" in given)


def _installed() -> list[str]:
    return [str(number) for number in range(len(list(_DRIVER.iterdir())))] if _DRIVER.is_dir() else []
