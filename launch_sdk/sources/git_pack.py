"""Keep a captured tree in a run store: once, and only what is new in it.

A tree is a document `<digest>.json` that lists the packs which hold its objects, and says where it comes from. The
first capture of a work tree makes a pack of everything, the base; the next ones make packs of what the base lacks,
until that is half as large as the base. So a tree never needs more than two packs, and it needs no remote: what a
person may delete or rewrite there, or what an agent may not reach, is in the store.

The commits that the remote lacks are kept beside it as a git bundle. A replay does not need them; people may:
`git fetch <digest>.bundle 'refs/launch/*:refs/launch/*'`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.sources.capture_rules import CaptureRules
from launch_sdk.sources.git_capture import Capture, capture
from launch_sdk.sources.git_commands import Git
from launch_sdk.sources.git_repository import repository_at
from launch_sdk.sources.origin import Origin
from launch_sdk.sources.packed import GIT, GitSource, file_of
from launch_sdk.sources.private_repository import PrivateRepository
from launch_sdk.sources.store_files import name_by_content, new_file, write_file

MAX_HISTORY_COMMITS = 1_000
MAX_HISTORY_BYTES = 100_000_000
MAX_PRIVATE_BYTES = 512 * 1024 * 1024
FORMAT = "launch-git-tree/1"
_EMPTY_PACK_COUNT = bytes(4)


@dataclass(frozen=True, slots=True)
class PackedCapture:
    """A captured work tree in a run store.

    Attributes:
        source: its name, `git+sha256:<digest>#<tree>[:<directory>]`.
        capture: what was captured.
        origin: where it comes from, and what is not in it.
    """

    source: str
    capture: Capture
    origin: Origin


def pack_work_tree(directory: Path, folder: Path, store: Path, rules: CaptureRules | None = None) -> PackedCapture:
    """Capture the work tree that a directory is in, and keep it in a store.

    Args:
        directory: any folder of the work tree; programs start in it.
        folder: where captures keep what they write, `LAUNCH_HOME/captures`.
        store: folder of the sources of a run store; made if needed.
        rules: what to leave out.

    Raises:
        NotFoundError, InvalidSpecError, ConflictError: as `capture` does.
    """
    captured = capture(directory, folder, rules)
    try:
        return pack_capture(captured, folder, store)
    except InvalidSpecError:  # the user's repository has deleted or damaged an object that was there when it was hashed
        captured = capture(directory, folder, rules, afresh=True)
        return pack_capture(captured, folder, store)


def pack_capture(captured: Capture, folder: Path, store: Path) -> PackedCapture:
    """Keep a capture in a store.

    Raises:
        InvalidSpecError: an object of it can be found no more.
    """
    private = PrivateRepository.of(Path(captured.root), captured.object_format, folder)
    history, left_out = _keep_history(captured, private, store)
    origin = replace(captured.origin, history=history, history_left_out=left_out)
    source = pack_tree(captured.tree, captured.directory, captured.object_format, origin, private=private, store=store)
    if _is_base(captured.tree, private) and _size_of(private.path / "objects") > MAX_PRIVATE_BYTES:
        private.delete()  # the next capture makes it again
    return PackedCapture(source, captured, origin)


def pack_tree(
    tree: str, directory: str, object_format: str, origin: Origin, *, private: PrivateRepository, store: Path
) -> str:
    """Keep a tree that a repository of ours sees in a store, and name it as a source.

    Args:
        tree: its hash.
        directory: where programs start in it.
        object_format: `sha1` or `sha256`.
        origin: what to keep of where it comes from.
        private: the repository.
        store: folder of the sources of a run store; made if needed.

    Raises:
        InvalidSpecError: an object of it can be found no more.
    """
    store.mkdir(parents=True, exist_ok=True)
    packs = _kept(tree, store) or _keep(tree, private, store)
    digest = _write_document(tree, object_format, packs, origin, store)
    return str(GitSource(digest, tree, directory))


def origin_of_tree(source: GitSource, store: Path) -> Origin:
    """Read where a captured tree comes from; nothing if its document cannot be read, or is not what its digest says."""
    try:
        content = (store / f"{source.digest}.json").read_bytes()
        if hashlib.sha256(content).hexdigest() == source.digest:
            return Origin.from_dict(json.loads(content).get("origin"))
    except (OSError, ValueError, AttributeError):
        pass
    return Origin()


def files_of(source: str, store: Path) -> list[str]:
    """Name the files of a store that a packed source needs, its own last.

    Raises:
        InvalidSpecError: its document is none of ours.
    """
    own = file_of(source)
    if not source.startswith(GIT):
        return [own]
    try:
        packs: list[str] = json.loads((store / own).read_bytes())["packs"]
        return [*(f"{bytes.fromhex(pack).hex()}.pack" for pack in packs), own]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSpecError(
            "The source", [Fault("source", f"{store / own} is no document of ours: {error}")]
        ) from None


def _kept(tree: str, store: Path) -> list[str] | None:
    """Return the packs of a tree that is in the store with all of them."""
    try:
        digest = (store / f"tree-{tree}").read_text().strip()
        packs = json.loads((store / f"{digest}.json").read_bytes())["packs"]
        whole = all((store / f"{pack}.pack").is_file() for pack in packs)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return packs if whole else None


def _keep(tree: str, private: PrivateRepository, store: Path) -> list[str]:
    base: Any = private.read_json("base.json")
    packs: list[str] | None = None
    if base and (store / f"{base['pack']}.pack").is_file():
        packs = _pack_difference(tree, base, private, store)
    return _pack_all(tree, private, store) if packs is None else packs


def _write_document(tree: str, object_format: str, packs: list[str], origin: Origin, store: Path) -> str:
    document = {
        "format": FORMAT,
        "tree": tree,
        "object_format": object_format,
        "packs": packs,
        "origin": origin.to_dict(),
    }
    content = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    kept, index = f"{digest}.json", f"tree-{tree}"
    if not ((store / kept).is_file() and (store / index).is_file()):
        write_file(store, kept, content)
        write_file(store, index, digest.encode())
    return digest


def _pack_difference(tree: str, base: Any, private: PrivateRepository, store: Path) -> list[str] | None:
    """Pack what the base lacks; None if that is so much that a new base is due."""
    with new_file(store) as file:
        try:
            _pack_objects(private.reading, f"{tree}\n^{base['tree']}\n", file)
        except InvalidSpecError:
            return None
        if file.stat().st_size > base["bytes"] / 2:
            return None
        with file.open("rb") as pack:
            nothing_new = pack.read(12)[8:] == _EMPTY_PACK_COUNT
        return [base["pack"]] if nothing_new else [base["pack"], name_by_content(file, store, "pack")]


def _pack_all(tree: str, private: PrivateRepository, store: Path) -> list[str]:
    with new_file(store) as file:
        _pack_objects(private.reading, f"{tree}\n", file)
        size, pack = file.stat().st_size, name_by_content(file, store, "pack")
    private.replace("base.json", json.dumps({"tree": tree, "pack": pack, "bytes": size}))
    return [pack]


def _pack_objects(git: Git, revisions: str, file: Path) -> None:
    options = ("--revs", "--stdout", "--quiet", "--delta-base-offset", "--window=0", "--no-use-bitmap-index")
    git.write("pack-objects", *options, feed=revisions.encode(), into=file)


def _keep_history(captured: Capture, private: PrivateRepository, store: Path) -> tuple[str | None, str]:
    """Keep the commits that the remote lacks; give their bundle's digest, and why they were left out."""
    if not captured.unpushed or captured.commit is None:
        return None, ""
    known: Any = private.read_json("history.json")
    if known and known["commit"] == captured.commit:
        digest: str | None = known["bundle"]
        if digest is None or (store / f"{digest}.bundle").is_file():
            return digest, known["left_out"]
    try:
        digest, left_out = _bundle(captured.commit, Path(captured.root), private, store)
    except InvalidSpecError as error:
        digest, left_out = None, "; ".join(fault.message for fault in error.faults)
    private.replace("history.json", json.dumps({"commit": captured.commit, "bundle": digest, "left_out": left_out}))
    return digest, left_out


def _bundle(commit: str, root: Path, private: PrivateRepository, store: Path) -> tuple[str | None, str]:
    repository = repository_at(root)
    if repository is None:
        return None, "the repository is gone"
    refs = f"refs/remotes/{repository.remote_name}/" if repository.remote_name else "refs/no-remote/"
    tips = repository.git.output("for-each-ref", "--format=%(objectname)", refs).decode().split()
    revisions = "".join(f"{line}\n" for line in (commit, *(f"^{tip}" for tip in tips))).encode()
    count = int(repository.git.output("rev-list", "--count", "--stdin", feed=revisions))
    if count > MAX_HISTORY_COMMITS:
        return None, f"the remote lacks {count} commits, more than {MAX_HISTORY_COMMITS}; push them"
    _take_shallow(repository.shallow, private.path)
    private.reading.output("update-ref", f"refs/launch/{commit}", commit)
    revisions = revisions.replace(commit.encode(), f"refs/launch/{commit}".encode(), 1)
    with new_file(store) as file:
        private.reading.output("bundle", "create", "--quiet", str(file), "--stdin", feed=revisions)
        if file.stat().st_size > MAX_HISTORY_BYTES:
            size = f"{file.stat().st_size / 1e6:.0f} MB, more than {MAX_HISTORY_BYTES / 1e6:.0f} MB"
            return None, f"the commits that the remote lacks hold {size}; push them"
        return name_by_content(file, store, "bundle"), ""


def _take_shallow(shallow: Path, private: Path) -> None:
    """Let our repository end where the user's shallow clone ends."""
    if shallow.is_file():
        shutil.copyfile(shallow, private / "shallow")
    else:
        (private / "shallow").unlink(missing_ok=True)


def _is_base(tree: str, private: PrivateRepository) -> bool:
    base: Any = private.read_json("base.json")
    return bool(base and base["tree"] == tree)


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
