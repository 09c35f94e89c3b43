"""The `early_terminate` block of a sweep file: W&B's hyperband, and rules of our own."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document, Path_

KEY = "early_terminate"
FORMS = ("stopping", "promotion")
_COUNT = {"type": "integer", "minimum": 1}
_AT_LEAST_0 = {"type": "number", "minimum": 0}
MAX_BANDS = 100  # W&B's number of them when only the first is given
MAX_ITER = 10**15  # no run logs so often
_PYTHON_SOURCE = re.compile(r"[^:]+\.py:[^\W\d]\w*")


@dataclass(frozen=True)
class EarlyStopSpec:
    """One rule, checked, with its defaults filled in.

    Attributes:
        type: name of the rule.
        options: its keys; those that were not given and have no default are None.
    """

    type: str
    options: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.options[key]


@dataclass(frozen=True)
class _Option:
    """A key of a rule.

    Attributes:
        wanted: what it must be, in words.
        accepts: whether a value is that.
        schema: the same as a JSON Schema.
        default: what it is if it is not given.
        is_required: whether it must be given.
    """

    wanted: str
    accepts: Callable[[Any], bool]
    schema: Mapping[str, Any]
    default: Any = None
    is_required: bool = False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(default: int | None = None, *, is_required: bool = False) -> _Option:
    """A whole number of at least 1; a float that is one will do, as in W&B."""
    wanted = "a whole number of at least 1"
    return _Option(wanted, lambda v: _is_number(v) and v >= 1 and v == int(v), _COUNT, default, is_required)


def _eta() -> _Option:
    return _Option("a number above 1", lambda v: _is_number(v) and v > 1, {"type": "number", "exclusiveMinimum": 1}, 3)


_TEXT = _Option("text", lambda v: isinstance(v, str), {"type": "string"}, is_required=True)
RULES: Mapping[str, Mapping[str, _Option]] = {
    "hyperband": {
        "min_iter": _count(),
        "max_iter": _count(),
        "s": _count(),
        "eta": _eta(),
        # W&B's documentation says false; its schema, which is what its server runs, has said true since 2024.
        "strict": _Option("true or false", lambda v: isinstance(v, bool), {"type": "boolean"}, default=True),
    },
    "asha": {
        "min_iter": _count(1),
        "max_iter": _count(),
        "eta": _eta(),
        "form": _Option("stopping or promotion", lambda v: v in FORMS, {"enum": list(FORMS)}, FORMS[0]),
    },
    "median": {"min_iter": _count(1), "min_runs": _count(5)},
    "plateau": {
        "patience": _count(is_required=True),
        "min_delta": _Option("a number of at least 0", lambda v: _is_number(v) and v >= 0, _AT_LEAST_0, 0.0),
        "min_iter": _count(1),
    },
    "threshold": {
        "worse_than": _Option("a number", _is_number, {"type": "number"}, is_required=True),
        "min_iter": _count(1),
    },
    "nan": {"patience": _count(1)},
    "optuna": {
        "pruner": _TEXT,
        "args": _Option("a mapping of arguments", lambda v: isinstance(v, dict), {"type": "object"}),
    },
    "python": {
        "source": _Option(
            "FILE.py:FUNCTION, as in stop.py:decide",
            lambda v: isinstance(v, str) and _PYTHON_SOURCE.fullmatch(v) is not None,
            {"type": "string", "pattern": f"^{_PYTHON_SOURCE.pattern}$"},
            is_required=True,
        )
    },
}


def parse_early_stop(document: Document, faults: list[Fault]) -> tuple[EarlyStopSpec, ...]:
    """Read `early_terminate`: one rule, or a list of them of which each may end a run.

    Args:
        document: a sweep file, whose value is a mapping.
        faults: each fault is added here, with its path and line.
    """
    sweep = cast("dict[str, Any]", document.value)
    block = sweep.get(KEY)
    if not isinstance(block, dict | list):
        return ()  # what else it is has been said already
    if not isinstance(sweep.get("metric"), dict):
        faults.append(document.fault((KEY,), "needs a metric to look at; add metric: {name: loss, goal: minimize}"))
    rules: list[tuple[Path_, object]] = [((KEY,), block)]
    if isinstance(block, list):
        rules = [((KEY, index), rule) for index, rule in enumerate(cast("list[object]", block))]
    specs = [_rule(document, path, rule, faults) for path, rule in rules]
    return tuple(spec for spec in specs if spec is not None)


def _rule(document: Document, path: Path_, rule: object, faults: list[Fault]) -> EarlyStopSpec | None:
    if not isinstance(rule, dict):
        faults.append(document.fault(path, f"must be a mapping, as in {{type: hyperband, min_iter: 3}}, not {rule!r}"))
        return None
    given = cast("dict[str, Any]", rule)
    name = given.get("type")
    if not isinstance(name, str) or name not in RULES:
        told = f"{name!r} is no rule; {_nearest(name, RULES)}" if name is not None else f"give one of {_listed(RULES)}"
        faults.append(document.fault((*path, "type") if name is not None else path, told))
        return None
    before = len(faults)
    known = RULES[name]
    strangers = [key for key in given if key != "type" and key not in known]
    faults += [document.fault((*path, key), f"unknown key of {name}; {_nearest(key, known)}") for key in strangers]
    options = {key: _option(document, (*path, key), option, given.get(key), faults) for key, option in known.items()}
    if len(faults) == before:
        faults += [document.fault((*path, *where), message) for where, message in _whole(name, options, document)]
    return EarlyStopSpec(name, options) if len(faults) == before else None


def _option(document: Document, path: Path_, option: _Option, value: Any, faults: list[Fault]) -> Any:
    if value is None:
        if option.is_required:
            faults.append(document.fault(path, f"is missing; give {option.wanted}"))
        return option.default
    if not option.accepts(value):
        faults.append(document.fault(path, f"must be {option.wanted}, not {value!r}"))
        return option.default
    return int(value) if option.wanted.startswith("a whole number") else value


def _whole(name: str, options: Mapping[str, Any], document: Document) -> list[tuple[Path_, str]]:
    """Say what is wrong with a rule whose every key is right by itself."""
    if name == "hyperband":
        return _hyperband_faults(options)
    if name == "asha" and options["max_iter"] is not None and options["max_iter"] <= options["min_iter"]:
        return [(("max_iter",), f"must be above min_iter, {options['min_iter']}, not {options['max_iter']}")]
    if name == "optuna":
        return _pruner_faults(options)
    if name == "python" and not cast("dict[str, Any]", document.value).get("program"):
        return [(("source",), "a function comes with the sweep's program; this sweep has none but a job")]
    return []


def _hyperband_faults(options: Mapping[str, Any]) -> list[tuple[Path_, str]]:
    if options["max_iter"] is None and options["min_iter"] is None:
        return [((), "hyperband needs min_iter, or max_iter with s")]
    if options["max_iter"] is not None and options["s"] is None:
        return [(("max_iter",), "needs s beside it: how many bands there are below max_iter")]
    if not hyperband_bands(options):
        first = options["max_iter"] / options["eta"]
        return [(("max_iter",), f"gives no band: max_iter / eta is {first:.3g}; increase max_iter or decrease eta")]
    return []


def hyperband_bands(options: Mapping[str, Any]) -> list[int]:
    """Return the iterations at which W&B's hyperband compares runs, ascending.

    With `max_iter` they are max_iter / eta^k for k = 1 to s, as far as that is at least 1; else min_iter * eta^k from
    k = 0 on. Each is cut to a whole number, while the next is worked out from the real one.

    Args:
        options: checked keys of the rule; `max_iter` wins over `min_iter`.
    """
    eta: float = options["eta"]
    if options["max_iter"] is None:
        return ascending_bands(options["min_iter"], eta)
    bands: list[int] = []
    band: float = options["max_iter"]
    for _ in range(options["s"]):
        band /= eta
        if band < 1:
            break
        bands.append(int(band))
    return sorted(bands)


def ascending_bands(first: int, eta: float) -> list[int]:
    """Return `first`, `first * eta`, `first * eta^2`, ... cut to whole numbers, as far as runs go."""
    bands: list[int] = []
    band: float = first
    while len(bands) < MAX_BANDS and band <= MAX_ITER:
        bands.append(int(band))
        band *= eta
    return bands


def _pruner_faults(options: Mapping[str, Any]) -> list[tuple[Path_, str]]:
    from launch_sdk.specs.pruners import make_pruner  # it imports Optuna

    try:
        make_pruner(options["pruner"], options["args"] or {})
    except LookupError as error:
        return [(("pruner",), str(error.args[0]))]
    except (TypeError, ValueError) as error:
        return [(("args",), f"{options['pruner']} does not take them: {error}")]
    return []


def _nearest(word: object, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {_listed(known)}"


def _listed(known: Mapping[str, Any]) -> str:
    return ", ".join(known)
