"""What uv is told to make a planned environment: files that it reads and argument vectors, wherever it runs then.

Nothing is started here: `installer` has these done on this machine, the builder of images inside of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from launch_sdk.environments.requirements import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.environments.plan import Plan

OPTIONS_OF_THE_COMMAND: Final = {
    "--pre": ("--prerelease", "allow"),
    "--require-hashes": ("--require-hashes",),
    "--prefer-binary": (),
    "--torch-backend": ("--torch-backend",),
}
STATED, CONSTRAINTS, OPTIONS, RESOLVED = "requirements.txt", "constraints.txt", "options.txt", "resolved.txt"
ARCHIVES: Final = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass(frozen=True)
class Steps:
    """What is done once the virtual environment is there.

    Attributes:
        directory: where uv is called.
        files: what it reads, by the name in the scratch folder.
        resolve: call that writes `RESOLVED`, in which packages of the source itself stand too; lines for which
            `is_folder` holds are taken out of it then. None if there are no such packages.
        install: the last call; None if there is nothing to install.
    """

    directory: str
    files: Mapping[str, str]
    resolve: tuple[str, ...] | None
    install: tuple[str, ...] | None


def steps_of(plan: Plan, *, source: str, target: str, scratch: str) -> Steps:
    """Say how a plan is carried out.

    Args:
        plan: what to install.
        source: absolute path of the source, where uv runs.
        target: absolute path of the virtual environment.
        scratch: absolute path of the folder with `Steps.files`.
    """
    own = str(PurePosixPath(source) / PurePosixPath(plan.origin).parent)
    interpreter = ("--python", f"{target}/bin/python")
    if plan.kind == "uv.lock":
        words = ("--frozen", "--no-dev", "--no-install-project", "--no-install-local", "--compile-bytecode")
        return Steps(own, {}, None, ("sync", *words, *interpreter))
    install = ("pip", "install", *interpreter, "--compile-bytecode")
    if plan.kind == "project" and not _has_other_folders(plan):
        return Steps(own, {}, None, (*install, "-r", PurePosixPath(plan.origin).name))
    directory = own if plan.kind == "project" else scratch
    install = (*install, *_command_options(plan), *(["--no-deps"] if plan.kind == "exact" else []))
    files = _files(plan, source, scratch)
    if not _has_folders(plan):
        stated = f"{scratch}/{STATED}"
        return Steps(directory, files, None, (*install, "-r", stated) if plan.requirements.lines else None)
    given = PurePosixPath(plan.origin).name if plan.kind == "project" else f"{scratch}/{STATED}"
    hashes = ("--generate-hashes",) if any("--hash" in line for line in plan.requirements.lines) else ()
    words = ("--no-header", "--no-annotate", *hashes, *_command_options(plan), "-o", f"{scratch}/{RESOLVED}", given)
    resolved = ("-r", f"{scratch}/{OPTIONS}", "-r", f"{scratch}/{RESOLVED}")
    return Steps(directory, files, ("pip", "compile", *interpreter, *words), (*install, *resolved))


def is_folder(line: str) -> bool:
    """Say whether a line of `RESOLVED` is a package of the source, whose code is used where it lies."""
    place = line.partition(" ;")[0].strip()
    return ("file://" in place or place.startswith(("-e ", "/", "."))) and not _is_archive(place)


def _files(plan: Plan, source: str, scratch: str) -> dict[str, str]:
    options = _file_options(plan)
    constraints = [_placed(line, source) for line in plan.requirements.constraints]
    head = [*options, f"-c {scratch}/{CONSTRAINTS}"] if constraints else options
    lines = [_placed(line, source) for line in plan.requirements.lines]
    stated = {STATED: [*head, *lines], CONSTRAINTS: constraints, OPTIONS: options}
    return {name: "".join(f"{line}\n" for line in content) for name, content in stated.items()}


def _has_folders(plan: Plan) -> bool:
    is_stated = any(line.startswith(SOURCE) and not _is_archive(line) for line in plan.requirements.lines)
    return is_stated if plan.kind == "requirements" else plan.kind == "project" and _has_other_folders(plan)


def _has_other_folders(plan: Plan) -> bool:
    own = PurePosixPath(plan.origin).parent.as_posix()
    return any(folder != own for folder in plan.requirements.folders)


def _is_archive(line: str) -> bool:
    return line.partition("[")[0].endswith(ARCHIVES)


def _placed(line: str, source: str) -> str:
    return line.replace(SOURCE, source)


def _file_options(plan: Plan) -> list[str]:
    """Give the options that stand in a file rather than on the command line, where anybody could read a password."""
    words = iter(plan.requirements.options)
    lines: list[str] = []
    for word in words:
        if word in OPTIONS_OF_THE_COMMAND:
            _ = next(words, "") if word == "--torch-backend" else ""
        else:
            lines.append(word if word == "--no-index" else f"{word} {next(words, '')}")
    return lines


def _command_options(plan: Plan) -> Sequence[str]:
    words = iter(plan.requirements.options)
    found: list[str] = []
    for word in words:
        found += OPTIONS_OF_THE_COMMAND.get(word, ())
        if word == "--torch-backend":
            found.append(next(words, "auto"))
    return found
