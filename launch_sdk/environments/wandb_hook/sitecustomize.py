"""Waits for the W&B client in the interpreter of a launched program, and lays `launch_sdk` on its path.

This directory stands first on PYTHONPATH of a launched program, so Python imports this module when it starts. Once the
program imports the client's modules of the config and of job inputs (`wandb.init` does so), `launch_wandb_declarations`
listens there. It runs in whatever interpreter the program has, so it imports nothing of ours, and little at all.
"""

# ruff: noqa: PTH100, PTH120, INP001  # no package: the directory stands on the path; pathlib costs 4 ms
# An image may have a Python from before 3.7, so annotations are text here, and nothing is imported from the future.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

WAITED_FOR = {"wandb.sdk.wandb_config", "wandb.sdk.launch.inputs.internal"}
LISTENER = "launch_wandb_declarations"
HERE = os.path.dirname(os.path.abspath(__file__))


class _Finder:
    """Waits on `sys.meta_path` for the modules, then steps aside."""

    @classmethod
    def find_spec(cls, name: str, path: "Any" = None, target: "Any" = None) -> "ModuleSpec | None":
        if name not in WAITED_FOR:
            return None
        WAITED_FOR.discard(name)
        others = [finder for finder in sys.meta_path if finder is not cls]
        if not WAITED_FOR:
            sys.meta_path[:] = others
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            listener = sys.modules.get(LISTENER) or _import(LISTENER, [HERE])
            if listener is not None:
                listener.extend(spec.loader)
        return spec


def _import(name: str, path: "list[str]") -> "ModuleType | None":
    """Import a module from these directories; None if it is in none of them."""
    from _frozen_importlib import module_from_spec  # what importlib.util has, without the 6 ms of importing that
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec(name, path)
    if spec is None or spec.loader is None:
        return None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if "LAUNCH_RUN_DIR" in os.environ:
    sys.meta_path.insert(0, _Finder)
# Behind everything else: a program that has a `launch_sdk` of its own keeps that.
sys.path += [place for place in (os.environ.get("LAUNCH_SDK_PATH"),) if place]
# This directory has done its duty; and the `sitecustomize` that it hides is imported as it would have been.
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]
_import("sitecustomize", sys.path)
