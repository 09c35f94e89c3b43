"""What a config is made from: objects of other libraries, flags, files; each as the library itself makes it."""

from __future__ import annotations

import dataclasses
import enum
import json
import subprocess
import sys
import types
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

import attr
import numpy as np
import omegaconf
import pydantic
import pytest
from absl import app, flags  # pyright: ignore[reportMissingTypeStubs]  # absl has none

import launch_sdk as launch
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.protocol import read_snapshot
from launch_sdk.tracking.values import plain
from tests.unit.tracking.conftest import PROJECT_ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pydantic import v1 as pydantic_1

LIBRARIES = ("absl", "attr", "omegaconf", "pydantic", "yaml", "tensorflow", "argparse", "dataclasses")
TRAINER = {"lr": 0.1, "model": {"layers": 2, "sizes": [1, 2]}}


class _Model(pydantic.BaseModel):
    layers: int = 2
    sizes: list[int] = [1, 2]


class _Trainer(pydantic.BaseModel):
    lr: float = 0.1
    model: _Model = _Model()


class _Model1(pydantic_1.BaseModel):
    layers: int = 2
    sizes: list[int] = [1, 2]


class _Trainer1(pydantic_1.BaseModel):
    lr: float = 0.1
    model: _Model1 = _Model1()


@attr.define
class _AttrsModel:
    layers: int = 2
    sizes: list[int] = attr.Factory(lambda: [1, 2])


@attr.define
class _AttrsTrainer:
    lr: float = 0.1
    model: _AttrsModel = attr.Factory(_AttrsModel)


@dataclasses.dataclass
class _DataModel:
    layers: int = 2
    sizes: list[int] = dataclasses.field(default_factory=lambda: [1, 2])


@pydantic.dataclasses.dataclass
class _DataTrainer:
    lr: float = 0.1
    model: _DataModel = dataclasses.field(default_factory=_DataModel)


class _Plain:
    def __init__(self) -> None:
        self.lr = 0.1
        self.model = {"layers": 2, "sizes": [1, 2]}
        self._private = 1


SOURCES: dict[str, Any] = {
    "dict": TRAINER,
    "config": Config(TRAINER),
    "pairs": list(TRAINER.items()),
    "argparse": Namespace(lr=0.1, model=Namespace(layers=2, sizes=[1, 2])),
    "dataclass": _DataTrainer(),
    "pydantic 2": _Trainer(),
    "pydantic 1": _Trainer1(),
    "attrs": _AttrsTrainer(),
    "OmegaConf": omegaconf.OmegaConf.create(TRAINER),
    "structured OmegaConf": omegaconf.OmegaConf.structured(_AttrsTrainer),
    "plain object": _Plain(),
    "mapping proxy": types.MappingProxyType(TRAINER),
}


@pytest.mark.parametrize("name", SOURCES)
def test_init_and_update_take_it_whole_with_its_groups(name: str) -> None:
    with launch.init(config=SOURCES[name]) as run:
        assert run.config == TRAINER
        assert type(run.config.model) is Config
        assert type(run.config.model.sizes) is list
        assert json.loads(json.dumps(run.config)) == TRAINER
        run.config.clear()
        run.config.update(SOURCES[name])
        assert run.config == TRAINER
    assert read_snapshot(run.dir).config == TRAINER


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("pairs", "plain object")])
def test_assigned_below_a_key_it_becomes_a_group(name: str) -> None:
    config = Config()
    config.trainer = SOURCES[name]
    assert config.trainer.model.layers == 2
    assert config == {"trainer": TRAINER}


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("pairs", "plain object")])
def test_inside_a_list_it_is_recorded_as_an_object(name: str) -> None:
    assert plain([SOURCES[name]]) == [TRAINER]


def test_interpolations_are_resolved_and_missing_values_left_out() -> None:
    source = omegaconf.OmegaConf.create({"base": 2, "double": "${base}${base}", "todo": "???", "n": [{"todo": "???"}]})
    assert Config(source) == {"base": 2, "double": "22", "n": [{}]}


def test_a_list_of_omegaconf_is_a_list() -> None:
    source = omegaconf.OmegaConf.create({"sizes": [1, [2]]})
    config = Config(sizes=source.sizes)
    assert type(config.sizes) is list
    assert config == {"sizes": [1, [2]]}
    assert plain({"logged": source.sizes}) == {"logged": [1, [2]]}


def test_a_model_whose_field_has_another_type_warns_of_nothing() -> None:
    model = _Trainer()
    model.lr = "fast"  # pyright: ignore[reportAttributeAccessIssue]  # scripts do
    assert Config(model).lr == "fast"


def test_values_keep_their_type_in_the_script_and_are_plain_in_the_record() -> None:
    class Color(enum.Enum):
        RED = "red"

    values: dict[str, Any] = {"lr": np.float32(0.5), "betas": (0.9, 0.99), "tags": {"a"}, "color": Color.RED, "fn": len}
    with launch.init(config=values) as run:
        assert run.config.betas == (0.9, 0.99)
        assert run.config.color is Color.RED
    expected = {"lr": 0.5, "betas": [0.9, 0.99], "tags": ["a"], "color": "red", "fn": "<built-in function len>"}
    assert read_snapshot(run.dir).config == expected


def test_a_nested_dict_with_keys_that_are_no_text_is_a_value() -> None:
    labels = {0: "cat", 1: "dog"}
    with launch.init(config={"labels": labels, "model": {"map": {1: {2: 3}}}}) as run:
        assert run.config.labels[0] == "cat"
        assert run.config.model.map[1] == {2: 3}
        run.config.labels = {2: "cow"}
        run.config.model.map = {"a": 1}
        run.config.more = {3: 4, 5: 6}
        del run.config.more[3]
    assert read_snapshot(run.dir).config == {"labels": {"2": "cow"}, "model": {"map": {"a": 1}}, "more": {"5": 6}}


def _absl_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string("model", None, "model to run", flag_values=values)
    flags.DEFINE_integer("batch_size", 128, "", short_name="b", flag_values=values)
    flags.DEFINE_multi_float("lr", [0.1], "", flag_values=values)
    return values


def test_absl_flags_are_taken_parsed_or_not() -> None:
    values = _absl_flags()
    assert Config(values) == {"model": None, "batch_size": 128, "lr": [0.1]}
    values(["train.py", "--model=big", "--lr=1", "--lr=2"])
    assert Config(values) == {"model": "big", "batch_size": 128, "lr": [1.0, 2.0]}


def test_absls_own_flags_are_left_out() -> None:
    app.define_help_flags()
    assert "help" in flags.FLAGS
    assert "verbosity" in flags.FLAGS
    name = "a_flag_of_this_test"
    flags.DEFINE_integer(name, 3, "")
    try:
        for source in (flags, flags.FLAGS):
            assert Config(source) == {name: 3}
    finally:
        delattr(flags.FLAGS, name)


def test_every_flag_that_absl_defines_for_itself_is_left_out() -> None:
    code = "import json; from absl import app, flags, logging; from absl.testing import absltest\n"
    code += "from launch_sdk.tracking.config_sources import fields_from\n"
    code += "app.define_help_flags(); print(len(list(flags.FLAGS)), json.dumps(fields_from(flags.FLAGS)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    count, fields = done.stdout.split(" ", 1)
    assert (int(count) > 20, fields) == (True, "{}\n")


def test_a_programs_flag_is_kept_whatever_module_of_absl_it_is_registered_for() -> None:
    values = flags.FlagValues()
    for name, module in [("log_dir", "absl.logging"), ("verbosity", "absl.logging"), ("mine", "absl.flags")]:
        flags.DEFINE_string(name, "absl", "", flag_values=values, module_name=module)
    flags.DEFINE_string("log_dir", "ours", "", flag_values=values, module_name="train", allow_override=True)
    flags.DEFINE_string("depth", "3", "", flag_values=values, module_name="absl_models.net")
    flags.DEFINE_string("help", "a text", "", flag_values=values, module_name="train")
    assert Config(values) == {"depth": "3", "help": "a text", "log_dir": "ours", "mine": "absl"}


class _TensorFlow1Flags:
    """`tf.app.flags.FLAGS` before TensorFlow 1.5: the values are in `__flags`, filled by `_parse_flags`."""

    def __init__(self) -> None:
        self.__dict__["__flags"] = {}
        self.__dict__["__parsed"] = False

    def _parse_flags(self) -> None:
        self.__dict__["__flags"]["batch_size"] = 128
        self.__dict__["__parsed"] = True


class _TensorFlow15Flags:
    """`tf.app.flags.FLAGS` from TensorFlow 1.5 on: a coat over absl's, which answers for everything but `__dict__`."""

    def __init__(self, wrapped: flags.FlagValues) -> None:
        self.__dict__["__wrapped"] = wrapped

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            return super().__getattribute__(name)
        return self.__dict__["__wrapped"].__getattribute__(name)


def test_flags_of_tensorflow_1_are_taken_as_object_and_as_module() -> None:
    module = types.ModuleType("tensorflow.python.platform.flags")
    module.FLAGS = _TensorFlow1Flags()  # pyright: ignore[reportAttributeAccessIssue]  # what a module is for
    assert Config(module) == {"batch_size": 128}
    assert Config(module.FLAGS) == {"batch_size": 128}
    assert Config(_TensorFlow15Flags(_absl_flags())) == {"model": None, "batch_size": 128, "lr": [0.1]}


def test_a_module_without_flags_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a config comes from .* not from module"):
        Config(types.ModuleType("settings"))


def test_keys_of_init_can_be_included_or_excluded() -> None:
    values = {"lr": 0.1, "epochs": 3, "secret": {"token": 1}}
    assert launch.init(config=values, config_include_keys=["lr", "epochs"]).config == {"lr": 0.1, "epochs": 3}
    assert launch.init(config=values, config_exclude_keys=["secret"]).config == {"lr": 0.1, "epochs": 3}
    with pytest.raises(ValueError, match="config_include_keys or config_exclude_keys, not both"):
        launch.init(config=values, config_include_keys=["lr"], config_exclude_keys=["lr"])
    assert launch.init(config=None, config_include_keys=["lr"]).config == {}


def test_no_library_is_imported_for_a_dict(tmp_path: Path) -> None:
    import subprocess

    code = "import sys, launch_sdk; launch_sdk.init(config={'a': {'b': [1]}}).finish(); print(*sys.modules)"
    root = str(Path(launch.__file__).parent.parent)
    result = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {root!r}); {code}"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(result.stdout.split())
    assert loaded.isdisjoint(LIBRARIES)
    unneeded = "objects config_sources config_files config_yaml config_view explanation unset changes"
    assert loaded.isdisjoint(f"launch_sdk.tracking.{name}" for name in unneeded.split())
