"""`launch image build`: an image of a program that starts its own run, for Prefect's own workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.command import DONE, Parser, print_json, say
from launch_sdk.cli.container_options import read_mapping
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.packing import pack_source
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.container import DEFAULT_USER_ID, IMAGE_SOURCE, container_faults, image_fault
from launch_sdk.specs.image_deployment import ImageDeployment
from launch_sdk.specs.job import safe_name, suggested_name
from launch_sdk.specs.run_spec import RunSpec, split_entry_point

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Mapping, Sequence

    from launch_sdk.client import LaunchClient
    from launch_sdk.containers.launcher import RunImage

EXAMPLES = """\
  launch image build DIR -E train.py --tag me/train:1      with its packages, its code and a launcher
  launch image build --job digits                          of the newest version of a job
  launch image build --job digits --pool docker-pool       ... and a deployment of it on a work pool of type docker
  launch image build DIR --tag ghcr.io/me/train:1 --push --pool cluster -R '{"namespace": "ml"}'
                                                           for a pool of type kubernetes, whose cluster pulls it
  launch --job run-job/digits                              start a run of the deployment"""
DEFAULT_ENTRY_POINT = "main.py"


@dataclass(frozen=True)
class Built:
    """What was built.

    Attributes:
        image: what the engine has.
        tag: the name that it was asked to have; that of `image` without one.
        is_pushed: whether a registry has it.
    """

    image: RunImage
    tag: str
    is_pushed: bool


def main(arguments: Sequence[str]) -> int:
    """Run `launch image ACTION ...`."""
    options = _parse(arguments)
    needs_server = options.job or options.pool
    from launch_sdk.client import LaunchClient

    with LaunchClient() if needs_server else contextlib.nullcontext() as client:
        name, spec, store = _program(client, options)
        wanted = None
        if client is not None and options.pool:
            wanted = ImageDeployment(
                options.name or name, spec, "", "", options.pool, options.push, _variables(options)
            )
            client.deploy_image(wanted, only_check=True)
        with _laid_out(spec, store) as (folder, start):
            built = asyncio.run(_build(spec, folder, start, options))
        deployment = None
        if client is not None and wanted is not None:
            made = replace(wanted, image=built.tag, source=built.image.source_folder)
            deployment = client.deploy_image(made)
    _tell(built, deployment, options)
    return DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("launch image", "Images of programs that start their own runs.", EXAMPLES)
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "Build an image with a program, its packages and a launcher; deploy it on a Prefect work pool."
    build = commands.add_parser("build", help=text, description=text)
    build.add_argument("directory", nargs="?", metavar="DIR", help="directory of the program")
    build.add_argument("--job", metavar="NAME[:ALIAS]", help="in place of DIR: a job's program")
    build.add_argument(
        *("-E", "--entry-point", "--entry_point"), help=f"program of DIR to start; default: {DEFAULT_ENTRY_POINT}"
    )
    build.add_argument("--environment", metavar="WHAT", help="its packages; default: auto, what its requirements say")
    build.add_argument("-D", "--dockerfile", metavar="PATH", help="build with this file of the source")
    build.add_argument("-b", "--build-context", "--build_context", metavar="DIR", help="folder that it is built in")
    build.add_argument("-B", "--base-image", "--base_image", metavar="IMAGE", help="what to build on")
    build.add_argument("--user-id", "--user_id", type=int, default=DEFAULT_USER_ID, help="who it runs as; not root")
    build.add_argument("-t", "--tag", metavar="NAME[:TAG]", help="what to call the image")
    build.add_argument("--push", action="store_true", help="push it under its tag, as docker login allows")
    build.add_argument("--pool", metavar="POOL", help="make a deployment of it on this Prefect work pool")
    build.add_argument("-n", "--name", metavar="NAME", help="of the deployment; default: the job's")
    build.add_argument(
        *("-R", "--resource-args", "--resource_args"),
        metavar="FILE|JSON",
        help='values of the pool\'s own variables, as in \'{"mem_limit": "2g"}\'',
    )
    build.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    _check(options)
    return options


def _check(options: argparse.Namespace) -> None:
    """Raise InvalidSpecError, with every fault, unless the options go together."""
    faults: list[Fault] = []
    if bool(options.job) == bool(options.directory):
        faults.append(Fault("DIR", "name the directory of a program, or a job: --job NAME"))
    if options.job:
        faults += [
            Fault(f"--{key.replace('_', '-')}", "the job says this")
            for key in ("entry_point", "environment")
            if getattr(options, key)
        ]
    if options.push and not options.tag:
        faults.append(Fault("--push", "say where to: --tag registry.example.com/team/NAME:TAG"))
    if options.tag and ((told := image_fault(options.tag)) or "@" in options.tag):
        faults.append(Fault("--tag", told or "is a digest, which nobody can choose"))
    of_pool = {"--name": options.name, "--resource-args": options.resource_args}
    told = "is about a deployment; say which pool is to have it: --pool POOL"
    faults += [Fault(flag, told) for flag, said in of_pool.items() if said and not options.pool]
    if options.user_id <= 0:
        faults.append(Fault("--user-id", "must be the number of a user that is not root"))
    if options.base_image and (told := image_fault(options.base_image)):
        faults.append(Fault("--base-image", told))
    faults += container_faults({key: getattr(options, key) for key in ("dockerfile", "build_context")})
    if faults:
        raise InvalidSpecError("The command line", faults)


def _program(client: LaunchClient | None, options: argparse.Namespace) -> tuple[str, RunSpec, RunStore]:
    """Give the name of a program, its spec, and the store that has its code."""
    if options.job:
        assert client is not None  # noqa: S101  # a job is on a server
        job = client.job(options.job)
        if job.spec.source.startswith(IMAGE_SOURCE):
            told = "is an image already, which brings no launcher; put its runs on a queue of containers"
            raise InvalidSpecError("The image", [Fault(f"job {job.name}", told)])
        return job.name, job.spec, client.store_of(job.spec.source)
    directory = Path(options.directory).expanduser()
    if not directory.is_dir():
        raise NotFoundError(f"{options.directory} is not a directory. Name the directory that holds the program.")
    words = split_entry_point(options.entry_point or DEFAULT_ENTRY_POINT)
    if words[0].endswith(".py") and not (directory / words[0]).is_file():
        there = ", ".join(sorted(path.name for path in directory.glob("*.py"))[:8]) or "no .py file"
        raise NotFoundError(f"{words[0]} is not in {options.directory}, which holds {there}. Name one with -E.")
    made = RunSpec.from_dict(
        {"source": str(directory.resolve()), "entry_point": words, "environment": options.environment or "auto"}
    )
    store = RunStore.local()
    return (
        suggested_name(replace(made, project=safe_name(directory.resolve().name))),
        pack_source(made, store, say),
        store,
    )


def _variables(options: argparse.Namespace) -> Mapping[str, Any]:
    return read_mapping(options.resource_args, "--resource-args") if options.resource_args else dict[str, Any]()


@contextlib.contextmanager
def _laid_out(spec: RunSpec, store: RunStore) -> Generator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(dir=launch_home(), prefix=".image-") as top:
        folder = Path(top) / "work"
        yield folder, store.lay_out(spec.source, folder)


async def _build(spec: RunSpec, folder: Path, start: Path, options: argparse.Namespace) -> Built:
    from launch_sdk._prefect.project import project_folder
    from launch_sdk.containers.build import BuildRequest
    from launch_sdk.containers.engine import connect
    from launch_sdk.containers.images import LOCKS, Images
    from launch_sdk.containers.launcher import run_image
    from launch_sdk.containers.left_builds import BuildNotes, remove_lost_builds
    from launch_sdk.containers.registry import Registry
    from launch_sdk.runs.processes import is_dead, process_identifier

    wanted = spec.container or {}
    engine = await asyncio.to_thread(connect)
    try:
        home = launch_home()
        await asyncio.to_thread(remove_lost_builds, home, is_dead)
        notes = BuildNotes(home, "image", None, process_identifier(os.getpid()))
        images = Images(engine.api, home / LOCKS, lambda lines: say("\n".join(lines)), notes=notes)
        request = BuildRequest(
            source=spec.source,
            folder=folder,
            start=start,
            entry_point=spec.entry_point,
            environment=spec.environment,
            lock=spec.lock,
            dockerfile=options.dockerfile or wanted.get("dockerfile"),
            build_context=options.build_context or wanted.get("build_context"),
            base_image=options.base_image or wanted.get("base_image"),
            user_id=options.user_id,
        )
        image = await run_image(images, request, project_folder())
        if options.tag is None:
            return Built(image, image.reference, is_pushed=False)
        repository, _, version = _named(options.tag).rpartition(":")
        await asyncio.to_thread(engine.api.tag, image.reference, repository, version, force=True)
        if options.push:
            await Registry(repository).publish(engine.api, f"{repository}:{version}", images.on_lines)
        return Built(image, f"{repository}:{version}", is_pushed=options.push)
    finally:
        engine.close()


def _named(tag: str) -> str:
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


def _tell(built: Built, deployment: str | None, options: argparse.Namespace) -> None:
    if options.json:
        document: Mapping[str, Any] = {
            "image": built.tag,
            "made_by": built.image.made_by,
            "is_pushed": built.is_pushed,
            "source_folder": built.image.source_folder,
            "deployment": deployment,
            "pool": options.pool,
        }
        print_json(document)
        return
    say(f"Image {built.tag} is built{', and pushed' if built.is_pushed else ''}.")
    if deployment is not None:
        say(f"It is deployed on work pool {options.pool!r}. Start a run of it: launch --job {deployment}")
