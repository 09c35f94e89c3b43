"""The options of `launch` that are about containers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import PROCESS_NAMES, RESOURCE_NAMES, ContainerSpec, container_faults, merged_containers
from launch_sdk.specs.container_arguments import argument_faults, parse_pairs
from launch_sdk.specs.document import parse_document, read_document
from launch_sdk.specs.launch_config import CONTAINER, PROCESS
from launch_sdk.specs.launch_config_file import split_resource_args
from launch_sdk.specs.resources import resource_faults

if TYPE_CHECKING:
    import argparse

OPTIONS = {
    "image": ("docker_image", "-d/--docker-image"),
    "base_image": ("base_image", "-B/--base-image"),
    "dockerfile": ("dockerfile", "-D/--dockerfile"),
    "build_context": ("build_context", "--build-context"),
}


def add_containers(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    group = parser.add_argument_group("containers")
    group.add_argument(
        *("-d", "--docker-image", "--docker_image"),
        metavar="IMAGE",
        help="run in this image, which has the packages; without a URI its own program",
    )
    group.add_argument(
        *("-B", "--base-image", "--base_image"), metavar="IMAGE", help="mount the code into this image; build none"
    )
    group.add_argument("-D", "--dockerfile", metavar="PATH", help="build the image with this file of the source")
    group.add_argument(
        *("--build-context", "--build_context"), metavar="FOLDER", help="folder of the source that the file copies from"
    )
    group.add_argument(
        *("-R", "--resource-args", "--resource_args"),
        metavar="FILE|JSON",
        help='what the container gets, as in \'{"memory": "2g"}\': a YAML or JSON file, or JSON',
    )
    group.add_argument(
        *("-A", "--docker-args", "--docker_args"),
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="the same, one by one: memory=2g, cpus=1.5, gpus=all, shm-size=1g, env=NAME=VALUE, ...",
    )
    group.add_argument(
        "-r",
        "--resource",
        metavar="KIND",
        help="container (docker, local-container) or process (local-process); default: what the queue says",
    )


def resource_of(options: argparse.Namespace) -> str | None:
    """Say what `-r` asks for.

    Raises:
        InvalidSpecError: it is neither.
    """
    if options.resource is None:
        return None
    if options.resource not in RESOURCE_NAMES:
        told = f"must be {CONTAINER} or {PROCESS}, not {options.resource!r}"
        raise InvalidSpecError("The command line", [Fault("-r/--resource", told)])
    return PROCESS if options.resource in PROCESS_NAMES else CONTAINER


def container_of(options: argparse.Namespace) -> tuple[dict[str, Any] | None, dict[str, int]]:
    """Give what the options say of a container (None if nothing), and counts of devices in its resource arguments.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    said = {key: value for key, (name, _) in OPTIONS.items() if (value := getattr(options, name)) is not None}
    shown = {key: option for key, (_, option) in OPTIONS.items()}
    faults = [Fault(shown[fault.path], fault.message) for fault in container_faults(said)]
    given: Mapping[str, Any] = {}
    if options.resource_args is not None:
        given = _resource_args(options.resource_args)
    counts, args = split_resource_args(given)
    faults += [Fault(f"--resource-args {one.path}", one.message) for one in resource_faults(counts)]
    faults += [Fault(f"--resource-args {one.path}", one.message) for one in argument_faults(args)]
    pairs, wrong = parse_pairs(options.docker_args, "--docker-args")
    faults += wrong + [Fault(f"--docker-args {one.path}", one.message) for one in argument_faults(pairs)]
    if faults:
        raise InvalidSpecError("The command line", faults)
    merged = merged_containers({"args": args}, {**said, "args": pairs}) or {}
    return ContainerSpec.from_dict(merged).to_dict() or None, counts


def _resource_args(text: str) -> Mapping[str, Any]:
    value = read_mapping(text, "--resource-args")
    inner = [value[key] for key in RESOURCE_NAMES if isinstance(value.get(key), Mapping) and len(value) == 1]
    return cast("Mapping[str, Any]", inner[0]) if inner else value


def read_mapping(text: str, option: str) -> Mapping[str, Any]:
    """Read the value of an option: a YAML or JSON file, or JSON itself.

    Raises:
        InvalidSpecError: it is no mapping.
        NotFoundError: the file does not exist.
    """
    is_object = text.lstrip().startswith("{")
    document = parse_document(text, name=option) if is_object else read_document(Path(text).expanduser())
    if not isinstance(cast("object", document.value), Mapping):
        raise InvalidSpecError(document.name, [document.fault((), "must be a mapping, as in {memory: 2g}")])
    return cast("Mapping[str, Any]", document.value)
