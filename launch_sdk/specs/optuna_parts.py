"""Optuna's samplers and pruners by name and arguments: checked when a sweep file is read, made when they are wanted."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.sweep_keys import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

Where = tuple[str, ...]
# What a sampler imports that Optuna itself does not need, and the package that has it.
NEEDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CmaEsSampler": (("cmaes", "cmaes"),),
    "GPSampler": (("torch", "torch"), ("scipy", "scipy")),
    "QMCSampler": (("scipy", "scipy"),),
    "WilcoxonPruner": (("scipy", "scipy"),),
}
# Arguments that are parts themselves, as {type: NAME, args: {...}}.
_INNER: Mapping[str, str] = {
    "independent_sampler": "sampler",
    "base_sampler": "sampler",
    "wrapped_pruner": "pruner",
    "crossover": "crossover",
    "mutation": "mutation",
}
_ABSTRACT = ("BaseSampler", "BaseGASampler", "BasePruner", "BaseCrossover", "BaseMutation")
_PLAIN: Mapping[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
    "dict": ((dict,), "a mapping"),
    "Mapping": ((dict,), "a mapping"),
    "None": ((type(None),), "null"),
}


def part_faults(kind: str, name: str, args: Mapping[str, Any]) -> list[tuple[Where, str]]:
    """List what is wrong with a part, as (path in the part, message); empty if it can be made.

    Args:
        kind: `sampler` or `pruner`.
        name: of its class.
        args: its keyword arguments; a `GridSampler` gets its `search_space` from the sweep if it has none.
    """
    classes = _classes(kind)
    if name not in classes:
        full = name + kind.capitalize()
        hint = f"did you mean {full}?" if full in classes else nearest(name, classes)
        return [(("type",), f"{name!r} is no {kind} of Optuna's; {hint}")]
    found = [
        fault for key, value in args.items() for fault in _argument_faults(classes[name], name, str(key), value)
    ] + _missing(classes[name], name, args)
    if found:
        return found
    try:
        make_part(kind, name, _complete(name, args))
    except Exception as error:  # noqa: BLE001  # whatever Optuna raises for a wrong value
        return [(("args",), f"{name} does not take them: {_one_line(error)}")]
    return []


def make_part(kind: str, name: str, args: Mapping[str, Any], seed: int | None = None) -> Any:
    """Make a sampler or a pruner.

    Args:
        kind: `sampler` or `pruner`, or one of what they are made of.
        name: of its class.
        args: its keyword arguments, checked by `part_faults`.
        seed: for each that takes a seed and is not given one, inner ones too; None gives none.

    Raises:
        TypeError: it does not take these arguments.
        ValueError: one of them is out of range.
    """
    maker = _classes(kind)[name]
    given = {key: _inner(key, value, seed) for key, value in args.items()}
    if seed is not None and "seed" in inspect.signature(maker).parameters:
        given.setdefault("seed", seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental, or an argument deprecated, is Optuna's to document
        return maker(**given)


def check_packages(kind: str, name: str, args: Mapping[str, Any]) -> None:
    """Raise InvalidSpecError if a sampler or a pruner, or one inside it, needs a package that is not installed here."""
    names = [name, *(inner["type"] for inner in _inner_parts(args))]
    wanted = dict.fromkeys(pair for one in names for pair in NEEDS.get(one, ()))
    missing = [package for module, package in wanted if importlib.util.find_spec(module) is None]
    if missing:
        told = f"{name} needs {' and '.join(missing)}, which the agent's Python does not have"
        fault = Fault(f"optuna.{kind}.type", f"{told}; install it there: pip install {' '.join(missing)}")
        raise InvalidSpecError("The sweep", [fault])


def _classes(kind: str) -> dict[str, Any]:
    from optuna import pruners, samplers

    if kind in {"crossover", "mutation"}:
        module: Any = samplers.nsgaii
        return {name: getattr(module, name) for name in module.__all__ if name.lower().endswith(kind)}
    module = samplers if kind == "sampler" else pruners
    ending = kind.capitalize()
    known = [name for name in module.__all__ if name.endswith(ending) and name not in _ABSTRACT]
    return {name: getattr(module, name) for name in known}


def _argument_faults(maker: Any, name: str, key: str, value: Any) -> Iterator[tuple[Where, str]]:
    parameters = inspect.signature(maker).parameters
    where = ("args", key)
    if key not in parameters:
        yield where, f"is no argument of {name}; {nearest(key, parameters) if parameters else 'it takes none'}"
    elif _takes_parts(key, value):
        inner = cast("dict[str, Any]", {"type": value} if isinstance(value, str) else value)
        found = part_faults(_INNER[key], str(inner.get("type")), inner.get("args") or {})
        yield from (((*where, *place), told) for place, told in found)
    else:
        yield from ((where, told) for told in _type_faults(str(parameters[key].annotation), value))


def _takes_parts(key: str, value: object) -> bool:
    return key in _INNER and isinstance(value, str | dict)


def _type_faults(annotation: str, value: object) -> Iterator[str]:
    """Compare a value with an annotation as it is written; one that says more than plain types is not judged."""
    wanted = [one.strip().split("[")[0] for one in annotation.split("|")]
    if "Callable" in annotation:
        if value is not None:
            yield "is a function; make the sampler in the optuna_source instead: def sampler(): ..."
    elif all(one in _PLAIN for one in wanted):
        types = [type_ for one in wanted for type_ in _PLAIN[one][0]]
        is_bool = isinstance(value, bool) and bool not in types
        if is_bool or not isinstance(value, tuple(types)):
            yield f"must be {' or '.join(_PLAIN[one][1] for one in wanted)}, not {value!r}"


def _missing(maker: Any, name: str, args: Mapping[str, Any]) -> list[tuple[Where, str]]:
    given = _complete(name, args)
    empty = inspect.Parameter.empty
    parameters = inspect.signature(maker).parameters.items()
    missing = [key for key, one in parameters if one.default is empty and key not in given]
    return [(("args",), f"{name} needs {key}") for key in missing]


def _complete(name: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"search_space": {}, **args} if name == "GridSampler" else args


def _inner(key: str, value: Any, seed: int | None) -> Any:
    if not _takes_parts(key, value):
        return value
    inner: Mapping[str, Any] = {"type": value} if isinstance(value, str) else value
    return make_part(_INNER[key], inner["type"], inner.get("args") or {}, seed)


def _inner_parts(args: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, value in args.items():
        if _takes_parts(key, value):
            inner: Mapping[str, Any] = {"type": value} if isinstance(value, str) else value
            yield inner
            yield from _inner_parts(inner.get("args") or {})


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
