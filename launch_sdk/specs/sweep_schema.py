"""The JSON Schema of a sweep file, for editors: made from the tables by which the parser reads it.

It says what a file may look like. What takes more than one value to tell, as that `min` is below `max`, only the parser
says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_sdk.specs.command import DEFAULT_COMMAND
from launch_sdk.specs.container import RESOURCE_NAMES
from launch_sdk.specs.early_stop_spec import RULES
from launch_sdk.specs.metric import GOALS, IMPUTES, METRIC_KEYS
from launch_sdk.specs.metric_source import KINDS, MAX_PATTERN_LENGTH, MAX_SOURCES, ROW_FILES
from launch_sdk.specs.optuna_spec import OPTUNA_KEYS, PART_KEYS, SOURCE
from launch_sdk.specs.scheduler_spec import DEFAULT_WORKERS
from launch_sdk.specs.space import DEPRECATED, DISTRIBUTION_KEYS, NAME
from launch_sdk.specs.sweep_limits import COST_KEYS, DURATION
from launch_sdk.specs.sweep_spec import KEYS, METHODS, TARGETS
from launch_sdk.specs.wandb_blocks import (
    CONTROLLER_KEYS,
    CONTROLLERS,
    DOCKER_KEYS,
    LAUNCH_KEYS,
    OVERRIDE_KEYS,
    SCHEDULER_KEYS,
    Types,
)

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}
_POSITIVE: Schema = {"type": "number", "exclusiveMinimum": 0}
_TIME: Schema = {"anyOf": [_POSITIVE, {"type": "string", "pattern": DURATION}, {"type": "null"}]}
_COST: Mapping[str, Schema] = {"metric": {"type": "string", "minLength": 1}, "max": _POSITIVE}
_VALUES: Mapping[str, Schema] = {
    "value": {},
    "values": {"type": "array", "minItems": 1},
    "probabilities": {"type": "array", "items": {"type": "number", "minimum": 0}},
    "min": {"type": "number"},
    "max": {"type": "number"},
    "q": _POSITIVE,
    "mu": {"type": "number"},
    "sigma": {"type": "number", "minimum": 0},
    "a": _POSITIVE,
    "b": _POSITIVE,
}
_NARROWER: Mapping[str, Mapping[str, Schema]] = {
    "int_uniform": {"min": {"type": "integer"}, "max": {"type": "integer"}},
    "log_uniform_values": {"min": _POSITIVE},
    "q_log_uniform_values": {"min": _POSITIVE},
    "inv_log_uniform_values": {"min": _POSITIVE},
}
_OWN_SCHEDULER: Schema = {  # then it takes no method
    "required": ["scheduler"],
    "properties": {"scheduler": {"type": "object", "required": ["job"]}},
}
_OWN_SEARCH: Schema = {  # then it takes no parameters
    "required": ["method", "optuna"],
    "properties": {
        "method": {"const": "optuna"},
        "optuna": {
            "type": "object",
            "required": ["optuna_source"],
            "properties": {"optuna_source": {"type": "string"}},
        },
    },
}
_INFERRED = ("constant", "categorical", "categorical_w_probabilities", "uniform")  # without the key distribution
_DESCRIPTIONS = {
    "program": "Script to run, relative to this file; or give job.",
    "job": "Name of a job, or flow/deployment; or give program.",
    "image_uri": "An image of containers that is run as it is; or give program or job.",
    "method": "How parameters are chosen.",
    "metric": "What to make better: a value that the program logs.",
    "parameters": "What each parameter may be.",
    "run_cap": "How many runs at most.",
    "seed": "The same seed and results give the same suggestions.",
    "shuffle": "Go through a grid in a random order.",
    "initial": "Points that the first runs try; what one lacks is chosen by the method.",
    "max_time": "The sweep ends so long after its first run has started: seconds, or 30m, 2h, 1d12h.",
    "max_run_time": "A run that takes longer is stopped, and its last values count.",
    "max_failed": "The sweep fails once more runs than this have failed; below 1: a fraction of those that have ended.",
    "retries": "How often a run that failed starts again.",
    "cost": "The sweep ends once its runs have cost so much together, by a value that each logs.",
    "command": f"How to start the program; default: {' '.join(DEFAULT_COMMAND)}.",
    "early_terminate": "Rules of which each may end a run that is not worth going on with.",
    "optuna": "What method: optuna searches with: a sampler and a pruner by name, or a file of yours.",
    "metric_sources": "Where metrics come from if the program logs none itself.",
    "environment": "What the program runs in: current, auto, or a requirements file beside it.",
    "scheduler": "How the sweep is driven.",
    "launch": "Where its runs go.",
}


def sweep_schema() -> Schema:
    """Give the JSON Schema (draft 2020-12) of a whole sweep file."""
    special = {
        "program": {"type": ["string", "null"]},
        "method": {"enum": [*METHODS, None]},
        "metric": {"anyOf": [_metric(), {"type": "null"}]},
        "parameters": {"anyOf": [{"$ref": "#/$defs/parameters"}, {"type": "null"}]},
        "optuna": _optuna(),
        "run_cap": {"type": ["integer", "null"], "minimum": 1},
        "initial": {"type": ["array", "null"], "items": {"type": "object"}},
        "max_time": _TIME,
        "max_run_time": _TIME,
        "max_failed": {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "null"},
            ]
        },
        "retries": {"type": ["integer", "null"], "minimum": 0},
        "cost": {**_block(COST_KEYS, _COST), "required": list(COST_KEYS)},
        "command": {"type": ["array", "null"], "minItems": 1, "items": {"type": ["string", "number"]}},
        "early_terminate": _early_terminate(),
        "environment": {"type": ["string", "null"]},
        "metric_sources": {"type": ["array", "null"], "maxItems": MAX_SOURCES, "items": _metric_source()},
        "scheduler": _block(
            SCHEDULER_KEYS, {"num_workers": _workers(), "timeout": _TIME, "engine": {"enum": ["wandb", None]}}
        ),
        "launch": _launch(),
        "kind": {"enum": ["sweep", None]},
        "controller": _block(CONTROLLER_KEYS, {"type": {"enum": [*CONTROLLERS, None]}}),
    }
    properties = {key: special.get(key, _typed(types)) for key, types in KEYS.items()}
    given = {"minLength": 1, "type": "string"}
    return {
        "$schema": DIALECT,
        "title": "A sweep",
        "type": "object",
        "properties": {key: _described(key, schema) for key, schema in properties.items()},
        "allOf": [
            {"anyOf": [{"required": ["method"], "properties": {"method": given}}, _OWN_SCHEDULER]},
            {"anyOf": [{"required": ["parameters"], "properties": {"parameters": {"type": "object"}}}, _OWN_SEARCH]},
        ],
        "if": {"required": ["method"], "properties": {"method": {"const": "custom"}}},
        "then": _OWN_SCHEDULER,
        "oneOf": [{"properties": {key: given}, "required": [key], "title": f"with a {key}"} for key in TARGETS],
        "additionalProperties": False,
        "$defs": _parameter_definitions(),
    }


def _described(key: str, schema: Schema) -> Schema:
    return {**schema, "description": _DESCRIPTIONS[key]} if key in _DESCRIPTIONS else schema


def _launch() -> Schema:
    special = {
        "overrides": _block(OVERRIDE_KEYS),
        "docker": _block(DOCKER_KEYS, {"user_id": {"type": ["integer", "null"], "minimum": 0}}),
        "resource": {"enum": [*RESOURCE_NAMES, "", None]},
    }
    return _block(LAUNCH_KEYS, special)


def _typed(types: Types) -> Schema:
    """Give the schema of Python types; None stands for a key that is not given."""
    several: tuple[type, ...] = types if isinstance(types, tuple) else (types,)
    return {"type": [*(_TYPES[one] for one in several), "null"]}


def _block(keys: Mapping[str, Any], special: Mapping[str, Schema] | None = None) -> Schema:
    properties = {key: _typed(types) for key, types in keys.items()} | dict(special or {})
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _metric() -> Schema:
    special = {
        "name": {"type": "string", "minLength": 1},
        "goal": {"enum": list(GOALS), "default": GOALS[0]},
        "target": {"type": ["number", "null"]},
        "impute": {"enum": [*IMPUTES, None]},
        "impute_while_running": {"enum": [*IMPUTES, "false", False, None]},
    }
    return {**_block(METRIC_KEYS, special), "type": "object", "required": ["name"]}


def _workers() -> Schema:
    number = {"type": "integer", "minimum": 1}
    return {"anyOf": [number, {"type": "string", "pattern": "^0*[1-9][0-9]*$"}], "default": DEFAULT_WORKERS}


def _optuna() -> Schema:
    part = {**_block(PART_KEYS, {"type": {"type": "string", "minLength": 1}}), "required": ["type"]}
    source = {"type": ["string", "null"], "pattern": SOURCE.pattern}
    return _block(OPTUNA_KEYS, {"sampler": part, "pruner": part, "optuna_source": source})


def _early_terminate() -> Schema:
    rules = {"anyOf": [_rule(name) for name in RULES]}
    return {"anyOf": [{"type": "null"}, rules, {"type": "array", "items": rules}]}


def _rule(name: str) -> Schema:
    options = RULES[name]
    required = [key for key, option in options.items() if option.is_required]
    properties = {
        key: {**option.schema, **({"default": option.default} if option.default is not None else {})}
        for key, option in options.items()
    }
    for key, option in options.items():
        if not option.is_required:
            properties[key] = {"anyOf": [properties[key], {"type": "null"}]}
    return {
        "type": "object",
        "title": name,
        "properties": {"type": {"const": name}, **properties},
        "required": ["type", *required],
        "additionalProperties": False,
    }


def _metric_source() -> Schema:
    endings = "|".join("".join(f"[{c}{c.upper()}]" for c in ending.lstrip(".")) for ending in ROW_FILES)
    text: Schema = {"type": "string", "pattern": r"\S"}
    kinds: Mapping[str, Schema] = {
        "stdout": {**text, "maxLength": MAX_PATTERN_LENGTH},
        "file": {"type": "string", "pattern": rf"\.({endings})$"},
        "tensorboard": text,
    }
    column = {"step": {"type": ["string", "null"], "minLength": 1}}
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {kind: kinds[kind], **(column if kind == "file" else {})},
                "required": [kind],
                "additionalProperties": False,
            }
            for kind in KINDS
        ]
    }


def _parameter_definitions() -> Schema:
    nested: Schema = {
        "type": "object",
        "title": "nested parameters",
        "properties": {"parameters": {"$ref": "#/$defs/nested"}},
        "required": ["parameters"],
        "additionalProperties": False,
    }
    any_parameters: Schema = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"$ref": "#/$defs/parameter"},
    }
    return {
        # A path below `files` is that of a config file, and may hold anything.
        "parameters": {**any_parameters, "propertyNames": {"pattern": rf"^({NAME.pattern}|files\..+)$"}},
        "nested": any_parameters,
        "parameter": {"anyOf": [nested, *(_distribution(name) for name in DISTRIBUTION_KEYS)]},
    }


def _distribution(name: str) -> Schema:
    required, optional = DISTRIBUTION_KEYS[name]
    narrower = _NARROWER.get(name, {})
    values = {key: narrower.get(key, _VALUES[key]) for key in (*required, *optional)}
    return {
        "type": "object",
        "title": name,
        "properties": {"distribution": {"const": name}, **values},
        "required": [*(() if name in _INFERRED else ("distribution",)), *required],
        "additionalProperties": False,
        **({"deprecated": True} if name in DEPRECATED else {}),
    }
