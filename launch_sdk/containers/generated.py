"""The Dockerfiles that we write: packages first, in an image of their own that many jobs share; code last.

uv makes the environment in a stage that is thrown away. Words that come from a source are written so that the builder
takes them as they are: nothing in them is a variable, an instruction or a word of a shell.
"""

from __future__ import annotations

import json
import platform
import re
from typing import TYPE_CHECKING, Final

from launch_sdk.environments.steps import RESOLVED
from launch_sdk.errors import Fault, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.environments.steps import Steps

WORKSPACE: Final = "/workspace"
ENVIRONMENT: Final = "/opt/environment"
PYTHONS: Final = "/opt/pythons"
HOME: Final = "/home/launch"
LAUNCHER: Final = "/opt/launch"
PROJECT: Final = f"{LAUNCHER}/project"
IN_STAGE: Final = "/launch"  # where the context lies in the stage that installs
UV: Final = f"{IN_STAGE}/uv"
BUILD_LABEL: Final = "launch.build"  # of a stage that may know a password
LAYERS_LABEL: Final = "launch.layers"  # of every layer that is built
KNOWN_PYTHONS: Final = tuple(f"3.{minor}" for minor in range(14, 8, -1))
# What `steps.is_folder` says, to sed: lines of packages in the source, but not of archives there.
_DROP_FOLDERS: Final = r"/^(-e |\/|\.)|file:\/\//{/\.(whl|tar\.gz|zip|tar\.bz2|tgz)(\[[^]]*\])?( ;.*)?$/!d}"


def base_for(python: str | None) -> str:
    """Name the image that has a Python as a plan asks for it: `3.10`, `3.10.4`, `>=3.10`, or None for the agent's."""
    return f"python:{_minor(python)}"


def environment_dockerfile(
    base: str,
    steps: Steps,
    *,
    python: str | None,
    build: str,
    variables: Mapping[str, str],
    fetches_python: bool = False,
    target: str = ENVIRONMENT,
    is_on_path: bool = True,
) -> str:
    """Write the Dockerfile of an image that is `base` and an environment.

    Args:
        base: identifier or name of an image.
        steps: what uv is told; its paths are those in the stage.
        python: which interpreter, as uv takes it; None for whichever the base has.
        build: a word that marks the stage, so that it can be found and deleted.
        variables: of the installer; nothing secret.
        fetches_python: the base has none, as those for accelerators; uv brings one along.
        target: where the environment is to be.
        is_on_path: programs find it first.
    """
    given = {
        "UV_NO_PROGRESS": "1",
        "UV_NO_CACHE": "1",
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "automatic" if fetches_python else "never",
        **({"UV_PYTHON_PREFERENCE": "only-managed"} if fetches_python else {}),
        "UV_PYTHON_INSTALL_DIR": PYTHONS,
        "UV_PROJECT_ENVIRONMENT": target,
        "NETRC": f"{IN_STAGE}/netrc",
        **variables,
    }
    wanted = ["--python", _minor(python) if fetches_python else python] if fetches_python or python else []
    calls = [
        [UV, "venv", "--no-project", *map(str, wanted), target],
        *(_resolving(steps.resolve) if steps.resolve else []),
        *([[UV, *steps.install]] if steps.install else []),
    ]
    copied = [target, *([PYTHONS] if fetches_python else [])]
    return _lines(
        f"FROM {base} AS packages",
        f"LABEL {BUILD_LABEL}={build}",
        "USER 0",
        _settings(given),
        f"COPY . {IN_STAGE}/",
        f"WORKDIR {quoted(steps.directory)}",
        *(f"RUN {json.dumps(list(words))}" for words in calls),
        f"FROM {base}",
        *(f"COPY --from=packages {path} {path}" for path in copied),
        *([f"ENV VIRTUAL_ENV={target} PATH={target}/bin:$PATH"] if is_on_path else []),
    )


def code_dockerfile(base: str, *, directory: str, user_id: int, python_path: Sequence[str] = ()) -> str:
    """Write the Dockerfile that adds the code to an image.

    Args:
        base: image with the environment.
        directory: where programs start, below the source.
        user_id: who they run as, and whose the code is.
        python_path: folders of the source whose packages are imported from there.
    """
    start = WORKSPACE if directory in {"", "."} else f"{WORKSPACE}/{directory}"
    return _lines(
        f"FROM {base}",
        _settings({"HOME": HOME, **({"PYTHONPATH": ":".join(python_path)} if python_path else {})}),
        f"COPY --chown={user_id}:{user_id} home {HOME}",
        f"WORKDIR {quoted(start)}",
        f"COPY --chown={user_id}:{user_id} source {WORKSPACE}",
        f"USER {user_id}:{user_id}",
    )


def launcher_dockerfile(base: str, *, wheel: str, user_id: int, interpreter: str, link: str) -> str:
    """Write the Dockerfile that adds the launcher to an image of a job that has what the launcher needs.

    Args:
        base: the image.
        wheel: name of the launcher's wheel in the context.
        user_id: who runs it.
        interpreter: what the job's programs are started with.
        link: Python that makes the launcher's flows known under `PROJECT`.
    """
    python = f"{LAUNCHER}/bin/python"
    install = [f"{LAUNCHER}/bin/uv", "pip", "install", "--no-deps", "--no-cache", "--offline", "--python", python]
    kept = {"HOME": HOME, "LAUNCH_HOME": f"{HOME}/.launch", "LAUNCH_PROGRAM_PYTHON": interpreter}
    return _lines(
        f"FROM {base}",
        "USER 0",
        f"COPY {wheel} {LAUNCHER}/{wheel}",
        f"RUN {json.dumps([*install, '--compile-bytecode', f'{LAUNCHER}/{wheel}'])}",
        f"RUN {json.dumps([python, '-c', link])}",
        f"COPY --chown={user_id}:{user_id} home {HOME}/.launch",
        _settings(kept),
        "ENTRYPOINT []",
        f"CMD {json.dumps([f'{LAUNCHER}/bin/prefect', 'flow-run', 'execute'])}",
        f"USER {user_id}:{user_id}",
    )


def quoted(value: str) -> str:
    """Write a word of an instruction so that the builder takes it as it is.

    Raises:
        InvalidSpecError: it holds what would end the instruction.
    """
    if not value.isprintable():
        fault = f"{value!r} holds a control character, so no image can be built of it; rename the folder"
        raise InvalidSpecError("The image", [Fault("source", fault)])
    return re.sub(r'([\\$"])', r"\\\1", value)


def _resolving(words: Sequence[str]) -> list[list[str]]:
    return [[UV, *words], ["sed", "-i", "-E", _DROP_FOLDERS, f"{IN_STAGE}/asked/{RESOLVED}"]]


def _settings(variables: Mapping[str, str]) -> str:
    return "ENV " + " ".join(f'{name}="{quoted(value)}"' for name, value in variables.items())


def _minor(python: str | None) -> str:
    own = ".".join(platform.python_version_tuple()[:2])
    if python is None:
        return own
    if match := re.fullmatch(r"(\d+\.\d+)(?:\.\d+)?(?:\.\*)?", python.strip()):
        return match[1]
    from packaging.specifiers import SpecifierSet

    wish = SpecifierSet(python)
    return next((one for one in (own, *KNOWN_PYTHONS) if f"{one}.99" in wish), own)


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
