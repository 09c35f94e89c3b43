"""Files that a run uses and makes: recorded with their SHA-256, so that who repeats the run gets the same bytes.

A used file of up to 100 MB is copied into the run store, once for its content; a larger one stays where it is. What is
fetched from a URL goes there too. A supervisor that repeats a run says in `used_files.json` where the files are, whose
digests it has checked. Local paths and `file:` need the standard library alone, other URLs fsspec.
"""

# ruff: noqa: PTH100, PTH101, PTH103, PTH105, PTH108, PTH111, PTH118, PTH123
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from launch_sdk.tracking import protocol
from launch_sdk.tracking.metadata import without_credentials
from launch_sdk.tracking.values import is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from io import BufferedReader
    from typing import Any, Protocol

    class Source(Protocol):
        """What can be read."""

        def read(self, size: int, /) -> bytes: ...


MAX_KEPT_BYTES = 100_000_000
SCHEMES = ("http", "https", "s3", "gs", "gcs", "az", "abfs", "abfss", "hf")
FOLDER = "files"
_CHUNK = 1 << 20


class Kept:
    """A file and its digest.

    Attributes:
        path: where it can be read.
        sha256: of its content, in hexadecimal.
        size: bytes.
    """

    __slots__ = ("path", "sha256", "size")

    def __init__(self, path: str, sha256: str, size: int) -> None:
        self.path = path
        self.sha256 = sha256
        self.size = size


def use(run_dir: protocol.Directory, given: str, name: str | None) -> tuple[dict[str, Any], str]:
    """Find a file that a run uses.

    Args:
        run_dir: the run directory.
        given: a local path, a `file:` URL, or one with a scheme of `SCHEMES`.
        name: what identifies it in the run; `given` without credentials if None.

    Returns:
        What is recorded of it, and the path that the program reads.

    Raises:
        FileNotFoundError, IsADirectoryError, OSError: it cannot be read.
        ImportError: its URL needs fsspec, or a library for its scheme, which is not installed.
        ValueError: URLs of its scheme are not taken.
    """
    name = name or without_credentials(given)
    said = protocol.read_object(run_dir, protocol.USED_FILES)
    entries = said.get("files")
    handed = entries.get(name) if is_object(entries) else None
    if is_object(handed):
        record = {key: handed.get(key) for key in ("url", "sha256", "bytes")}
        return {"name": name, **record}, str(handed.get("path"))
    store = str(said.get("store") or own_store())
    path = local_path(given)
    kept = _keep_if_small(path, store) if path is not None else download(given, store)
    url = file_url(path) if path is not None else without_credentials(given)
    return {"name": name, "url": url, "sha256": kept.sha256, "bytes": kept.size}, path or kept.path


def log(run_dir: protocol.Directory, path: str, name: str | None) -> dict[str, Any]:
    """Copy a file that a run has made into its directory: `files/<SHA-256>`.

    Returns:
        What is recorded of it.

    Raises:
        OSError: it cannot be read, or the copy cannot be written.
    """
    with opened(path) as source:
        kept = keep(source, os.path.join(run_dir, FOLDER))
    return {"name": name or path, "path": f"{FOLDER}/{kept.sha256}", "sha256": kept.sha256, "bytes": kept.size}


def own_store() -> str:
    """Name where files are kept that no supervisor has a place for: below LAUNCH_HOME."""
    home = os.environ.get("LAUNCH_HOME") or os.path.join("~", ".launch")
    return os.path.join(os.path.abspath(os.path.expanduser(home)), "store", FOLDER)


def local_path(given: str) -> str | None:
    """Give the absolute path that a path or a `file:` URL names; None of another URL."""
    scheme, separator, rest = given.partition("://")
    if not separator:
        return os.path.abspath(given)
    if scheme != "file":
        return None
    from urllib.parse import unquote_to_bytes  # only who has such a URL pays for it

    return os.path.abspath(os.fsdecode(unquote_to_bytes(rest.removeprefix("localhost"))))


def file_url(path: str) -> str:
    """Give the `file:` URL of an absolute path."""
    from urllib.parse import quote

    return f"file://{quote(os.fsencode(path))}"


@contextmanager
def opened(path: str) -> Generator[BufferedReader]:
    """Open a regular file for reading; a pipe or a device never blocks.

    Raises:
        FileNotFoundError, IsADirectoryError, OSError: it is no file that can be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "is a folder; name the files in it, or pack them into one", path)
        if not stat.S_ISREG(mode):
            raise OSError(22, "is no regular file", path)
        yield file


def digest_of(path: str) -> tuple[str, int]:
    """Give the SHA-256 of a file in hexadecimal, and its bytes."""
    import hashlib

    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


def keep(source: Source, store: protocol.Directory) -> Kept:
    """Copy what can be read into a store, named by its content; what is there already stays."""
    import hashlib
    import tempfile

    os.makedirs(store, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor, draft = tempfile.mkstemp(dir=store, prefix=".writing-")
    try:
        with open(descriptor, "wb") as file:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                size += file.write(chunk)
        os.chmod(draft, 0o444)
        path = os.path.join(store, digest.hexdigest())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    return Kept(path, digest.hexdigest(), size)


def download(url: str, store: str) -> Kept:
    """Fetch what a URL names into a store.

    Raises:
        ImportError: fsspec, or what it needs for this scheme, is not installed.
        OSError: it cannot be fetched.
        ValueError: URLs of its scheme are not taken.
    """
    scheme, shown = url.partition("://")[0], without_credentials(url)
    if scheme not in SCHEMES:
        raise ValueError(f"{shown}: a URL begins with one of file, {', '.join(SCHEMES)}, not with {scheme!r}")
    try:
        import fsspec  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise ImportError(f"{shown} needs fsspec. Install it: pip install 'launch-sdk[files]'") from None
    library: Any = fsspec
    try:
        with library.open(url, "rb") as source:
            return keep(source, store)
    except ImportError as error:
        raise ImportError(f"{shown} needs another library: {error}") from None
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  # each scheme's library has errors of its own
        raise OSError(f"{shown} cannot be fetched: {type(error).__name__}") from None


def _keep_if_small(path: str, store: str) -> Kept:
    with opened(path) as source:
        if os.fstat(source.fileno()).st_size <= MAX_KEPT_BYTES:
            return keep(source, store)
    digest, size = digest_of(path)
    return Kept(path, digest, size)
