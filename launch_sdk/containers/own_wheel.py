"""This installation as a wheel, and the packages beside it as constraints: so that an image runs what runs here.

A wheel is a zip file with a list of its content. It is written by hand, for an installed copy has no sources to build
one from; the same files give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

NAME: Final = "launch-sdk"
# What sweeps need and a run does not: an image of one job starts programs and nothing else.
OF_SWEEPS: Final = frozenset({"numpy", "optuna", "matplotlib", "pillow"})
_TIME = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = ("__pycache__", ".pyc")


def own_wheel(project: Path) -> tuple[str, bytes]:
    """Return the name of a wheel of this installation, and its content.

    Args:
        project: the folder with `flows`, `blocks` and `prefect.yaml`, which the wheel carries as data.
    """
    from importlib.metadata import version

    stem = f"{NAME.replace('-', '_')}-{version(NAME)}"
    info = f"{stem}.dist-info"
    members = dict(_package())
    members |= _project(project)
    members[f"{info}/METADATA"] = (distribution(NAME).read_text("METADATA") or "").encode()
    members[f"{info}/entry_points.txt"] = (distribution(NAME).read_text("entry_points.txt") or "").encode()
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: launch\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in members.items()]
    members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    return f"{stem}-py3-none-any.whl", _zipped(members)


def requirements() -> list[str]:
    """List what a launcher needs to start programs, as its metadata says, without what only sweeps need."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in distribution(NAME).requires or ()]
    of_extra = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": "prefect"})]
    return [f"{one.name}{_extras(one.extras)}{one.specifier}" for one in of_extra if one.name not in OF_SWEEPS]


def constraints() -> list[str]:
    """List the versions that are installed here of all that a launcher needs, for they are known to work together.

    What else is installed here is left out, so that it makes no new image.
    """
    from packaging.requirements import Requirement

    versions: dict[str, str] = {}
    waiting = [Requirement(line) for line in requirements()]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (_normal(wanted.name), frozenset(wanted.extras))
        if key in seen or (found := _installed(wanted.name)) is None:
            continue
        seen.add(key)
        versions[key[0]] = found.version
        waiting += [one for line in found.requires or () if _counts(one := Requirement(line), wanted.extras)]
    return [f"{name}=={version}" for name, version in sorted(versions.items()) if "+" not in version]


def _normal(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _counts(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _extras(extras: set[str]) -> str:
    return f"[{','.join(sorted(extras))}]" if extras else ""


def _package() -> Iterator[tuple[str, bytes]]:
    top = Path(__file__).resolve().parents[1]
    for path in sorted(top.rglob("*")):
        if path.is_file() and not any(part in str(path) for part in _LEFT_OUT):
            yield path.relative_to(top.parent).as_posix(), path.read_bytes()


def _project(project: Path) -> dict[str, bytes]:
    paths = [
        project / "prefect.yaml",
        *sorted((project / "flows").glob("*.py")),
        *sorted((project / "blocks").glob("*.py")),
    ]
    there = [path for path in paths if path.is_file()]
    return {f"launch_sdk/_project/{path.relative_to(project).as_posix()}": path.read_bytes() for path in there}


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, _TIME)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()
