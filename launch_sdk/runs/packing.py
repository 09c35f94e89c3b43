"""What a submission packs: the directory of a run, the folder of a sweep's program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.containers.dockerfiles import find_dockerfile
from launch_sdk.errors import InvalidSpecError
from launch_sdk.sources.packed import IMAGE, is_packed
from launch_sdk.specs.container import ContainerSpec
from launch_sdk.specs.run_spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from launch_sdk.errors import Fault
    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.sweep_spec import SweepSpec


def _nobody(_: str) -> None:
    pass


def pack_source(spec: RunSpec, store: RunStore, tell: Callable[[str], object] = _nobody) -> RunSpec:
    """Give the same spec with its directory packed into the run store.

    Args:
        spec: of a run; one whose source is packed already is given back.
        store: where to.
        tell: is told, line by line, what a run of it will not have: secrets, large files, what links lead to.

    Raises:
        InvalidSpecError: the Dockerfile that its image is to be built with is not there, or leads out of it.
        NotFoundError: the directory does not exist.
    """
    if is_packed(spec.source) or spec.source.startswith(IMAGE):
        return spec
    _check_dockerfile(spec)
    source = _packed(Path(spec.source).expanduser(), store, tell)
    return RunSpec.from_dict({**spec.to_dict(), "source": source})


def _check_dockerfile(spec: RunSpec) -> None:
    wanted = ContainerSpec.from_dict(spec.container or {})
    directory = Path(spec.source).expanduser()
    if (wanted.dockerfile or wanted.build_context) and directory.is_dir():
        find_dockerfile(directory, spec.entry_point, wanted.dockerfile, wanted.build_context)


def check_program(spec: SweepSpec, document: Document) -> None:
    """Raise InvalidSpecError if the program of a sweep file, or a function's file, is not beside it."""
    if spec.program is None:
        return
    if faults := _file_faults(spec, document):
        raise InvalidSpecError(document.name, faults)
    program = document.directory / spec.program
    if not program.is_file():
        beside = sorted(path.name for path in document.directory.glob("*.py"))
        there = ", ".join(beside) or "no scripts"
        message = f"{spec.program} does not exist in {document.directory}; there are {there}"
        raise InvalidSpecError(document.name, [document.fault(("program",), message)])


def _file_faults(spec: SweepSpec, document: Document) -> list[Fault]:
    """Find functions' files that are not in the folder that is packed."""
    faults: list[Fault] = []
    for index, rule in enumerate(spec.early_stop):
        file = str(rule.options.get("source", "")).rpartition(":")[0]
        if file and not (document.directory / file).is_file():
            place = (index,) if isinstance(document.value["early_terminate"], list) else ()
            message = f"{file} does not exist in {document.directory}"
            faults.append(document.fault(("early_terminate", *place, "source"), message))
    source = spec.optuna.source if spec.optuna else None
    if source and not (document.directory / source).is_file():
        message = f"{source} does not exist in {document.directory}"
        faults.append(document.fault(("optuna", "optuna_source"), message))
    return faults


def pack_program(spec: SweepSpec, document: Document, store: RunStore, tell: Callable[[str], object] = _nobody) -> str:
    """Pack the folder of a sweep file, after checking that its program is there; `tell` as in `pack_source`."""
    check_program(spec, document)
    return _packed(document.directory, store, tell)


def _packed(directory: Path, store: RunStore, tell: Callable[[str], object]) -> str:
    pack = store.put_directory(directory)
    for line in pack.origin.notices():
        tell(line)
    return pack.source
