"""What a script declares to be its inputs: recorded, added up, and held against what it was given."""

from __future__ import annotations

import enum
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pydantic
import pytest

import launch_sdk as launch
from launch_sdk.tracking.notices import LaunchWarning
from launch_sdk.tracking.protocol import RUN_DIR, read_snapshot, write_overrides


class _Optimizer(enum.Enum):
    ADAM = "adam"
    SGD = "sgd"


class _Trainer(pydantic.BaseModel):
    lr: float = pydantic.Field(0.1, gt=0, le=1)
    optimizer: _Optimizer = _Optimizer.ADAM
    token: pydantic.SecretStr = pydantic.SecretStr("hush")


class _Model(pydantic.BaseModel):
    trainer: _Trainer
    seed: int


def _given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any, files: Any = None, **more: Any) -> Path:
    directory = tmp_path / "the-run"
    directory.mkdir(exist_ok=True)
    write_overrides(directory, config, files, **more)
    monkeypatch.setenv(RUN_DIR, str(directory))
    return directory


def _declared(run: launch.Run | None = None) -> dict[str, Any]:
    inputs = read_snapshot((run or launch.run).dir).inputs  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    assert inputs is not None
    return inputs


def test_a_run_that_declares_nothing_records_nothing() -> None:
    with launch.init(config={"a": 1}) as run:
        pass
    assert read_snapshot(run.dir).inputs is None


def test_a_declaration_during_the_run_is_recorded_at_once() -> None:
    launch.init(config={"a": {"b": 1}})
    launch.manage_config(include=["a", r"c\.d"], exclude=["a.b"], schema={"type": "object"})
    own = {"include": [["a"], ["c.d"]], "exclude": [["a", "b"]], "schema": {"type": "object"}}
    assert _declared() == {"config": own, "files": {}}


def test_a_declaration_before_the_run_waits_for_it() -> None:
    launch.manage_config(include=["a"])
    run = launch.init(config={"a": 1})
    assert _declared(run)["config"]["include"] == [["a"]]
    launch.finish()
    second = launch.init(config={"a": 1})
    assert read_snapshot(second.dir).inputs is None


def test_declarations_add_up_and_the_last_title_of_a_schema_counts() -> None:
    launch.manage_config(include=["a"], exclude=["a.x"], schema={"title": "first"})
    launch.init()
    launch.manage_config(include=["b", "a"], exclude=["b.x"], schema={"title": "second"})
    launch.manage_config()
    own = _declared()["config"]
    assert own == {"include": [["a"], ["b"]], "exclude": [["a", "x"], ["b", "x"]], "schema": {"title": "second"}}


def test_wandb_names_are_the_same_functions() -> None:
    assert launch.manage_wandb_config is launch.manage_config
    assert launch.load_wandb_config is launch.load_config
    launch.require("core")
    launch.require(["legacy-service"])
    with pytest.raises(TypeError, match="name of a feature"):
        launch.require([1])  # pyright: ignore[reportArgumentType]


def test_an_override_that_is_no_input_is_refused_with_the_nearest_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"trainer": {"learning_rte": 1, "private": {"key": 1}}, "seed": 1}
    directory = _given(tmp_path, monkeypatch, given)
    run = launch.init(config={"trainer": {"learning_rate": 0.1, "private": {"key": 0}}, "seed": 4})
    with pytest.raises(launch.InputError) as caught:
        launch.manage_config(include=["trainer.learning_rate"], exclude=["trainer.private"])
    text = str(caught.value)
    assert "config.trainer.learning_rte: is no input; the nearest is trainer.learning_rate" in text
    assert "config.trainer.private.key: is no input; inputs are trainer.learning_rate" in text
    assert "config.seed: is no input" in text
    assert read_snapshot(directory).inputs is None
    assert run.is_open


def test_an_empty_group_is_refused_where_no_input_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.json").write_text('{"a": {"x": 1}}')
    _given(tmp_path, monkeypatch, {"zz": {}, "trainer": {}}, {"c.json": {"b": {}, "a": {}}})
    launch.manage_config(include=["trainer.lr"])
    launch.manage_config_file("c.json", include=["a.x"])
    with pytest.raises(launch.InputError) as caught:
        launch.init(config={"trainer": {"lr": 0.1}})
    assert str(caught.value).splitlines()[1:] == [
        "  config.zz: is no input; inputs are trainer.lr",
        "  files.c.json.b: is no input; inputs are a.x",
    ]


def test_a_declaration_that_waited_refuses_at_the_start_and_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = _given(tmp_path, monkeypatch, {"b": 1}, layer="sweep")
    launch.manage_config(include=["a"])
    with pytest.raises(launch.InputError, match="The sweep gave what is no input"):
        launch.init(config={"a": 1, "b": 2})
    assert read_snapshot(directory).exit_code == 1
    assert launch.run is None


def test_includes_that_wait_are_held_against_the_overrides_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _given(tmp_path, monkeypatch, {"b": 3})
    launch.manage_config(include=["a"])
    launch.manage_config(include=["b"])
    assert launch.init(config={"a": 1, "b": 2}).config.b == 3


def test_includes_during_a_run_add_up_until_it_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(tmp_path, monkeypatch, {"b": 3})
    run = launch.init(config={"a": 1, "b": 2})
    launch.manage_config(include=["a"])
    launch.manage_config(include=["b"])
    run.log({"loss": 1})
    launch.manage_config(include=["a"])


def test_what_no_declaration_has_included_is_refused_when_the_run_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = _given(tmp_path, monkeypatch, {"b": 3})
    run = launch.init(config={"a": 1, "b": 2})
    launch.manage_config(include=["a"])
    with pytest.raises(launch.InputError, match=r"config\.b: is no input; inputs are a"):
        run.log({"loss": 1})
    assert read_snapshot(directory).last_step is None


def test_what_no_declaration_has_included_is_refused_at_the_end_of_a_run_that_logs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = _given(tmp_path, monkeypatch, {"b": 3})
    with pytest.raises(launch.InputError), launch.init(config={"a": 1, "b": 2}):
        launch.manage_config(include=["a"])
    assert read_snapshot(directory).exit_code == 1


def test_where_only_files_are_declared_no_value_of_the_config_is_an_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _given(tmp_path, monkeypatch, {"b": 3})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    launch.manage_config_file("model.json")
    run = launch.init(config={"b": 2})
    with pytest.raises(launch.InputError, match=r"config\.b: is no input; there is none"):
        run.log({"loss": 1})


def test_what_the_supervisor_checked_may_be_included_later_but_not_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _given(tmp_path, monkeypatch, {"b": 3}, checked=True)
    launch.init(config={"a": 1, "b": 2})
    launch.manage_config(include=["a"])
    launch.manage_config(include=["b"])
    with pytest.raises(launch.InputError, match=r"config\.b: is no input"):
        launch.manage_config(exclude=["b"])


@pytest.mark.parametrize(
    ("own", "given", "fault"),
    [
        (0.1, 1, None),
        (1, 2.0, None),
        (None, "x", None),
        (None, {"deep": 1}, None),
        (1, True, "config.v: must be integer, not True"),
        (1, 1.5, "config.v: must be integer, not 1.5"),
        ("a", None, "config.v: must be string, not null"),
        ([1, 2], [1, "x"], r"config.v\[1\]: must be integer, not 'x'"),
        ([1, "a"], [1.5], None),
        ({"a": 1}, 3, "config.v: must be object, not 3"),
        (1, {"a": 1}, "config.v: must be integer, not a group of keys"),
        (1, {}, "config.v: must be integer, not {}"),
        ({"a": 1}, {}, None),
    ],
)
def test_an_override_must_be_of_the_type_that_the_script_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: Any, given: Any, fault: str | None
) -> None:
    _given(tmp_path, monkeypatch, {"v": given})
    launch.init(config={"v": own})
    if fault is None:
        launch.manage_config()
    else:
        with pytest.raises(launch.InputError, match=fault):
            launch.manage_config()


def test_a_value_that_the_script_does_not_have_yet_is_of_any_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _given(tmp_path, monkeypatch, {"later": "x"})
    launch.init(config={"a": 1})
    launch.manage_config()


@pytest.mark.parametrize("schema", [_Model, _Model(trainer=_Trainer(lr=0.1), seed=3), _Model.model_json_schema()])
def test_a_schema_refuses_all_that_does_not_fit_and_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: Any
) -> None:
    _given(tmp_path, monkeypatch, {"trainer": {"lr": 2.0, "optimizer": "adm", "token": 12345}})
    launch.init(config={"trainer": {"lr": 0.1}})
    with pytest.raises(launch.InputError) as caught:
        launch.manage_config(schema=schema)
    text = str(caught.value)
    assert "config.trainer.lr: 2.0 is greater than the maximum of 1" in text
    assert "config.trainer.optimizer: 'adm' is not one of ['adam', 'sgd']" in text
    assert "config.trainer.token: does not fit the schema's type" in text
    assert "12345" not in text
    assert "seed" not in text


def test_an_ordinary_pydantic_model_is_a_schema_without_a_warning() -> None:
    launch.init(config={"trainer": {"lr": 0.1}, "seed": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        launch.manage_config(schema=_Model)
    assert _declared()["config"]["schema"]["properties"]["seed"] == {"title": "Seed", "type": "integer"}


def test_fields_of_the_form_are_kept() -> None:
    extra = {"type": "string", "label": "Token", "placeholder": "sk-", "format": "secret"}
    launch.init()
    launch.manage_config(schema={"properties": {"token": extra}})
    assert _declared()["config"]["schema"]["properties"]["token"] == extra


def test_the_values_of_the_script_itself_are_its_own_affair() -> None:
    launch.init(config={"lr": 9.0})
    launch.manage_config(include=["other"], schema={"properties": {"lr": {"maximum": 1}}})


def test_without_jsonschema_the_paths_are_still_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(tmp_path, monkeypatch, {"lr": 9.0})
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    launch.init(config={"lr": 0.1})
    launch.manage_config(schema={"properties": {"lr": {"maximum": 1}}})
    with pytest.raises(launch.InputError):
        launch.manage_config(exclude=["lr"])


@pytest.mark.parametrize("schema", ["text", 3, int, [1]])
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(TypeError, match="schema must be a dict"):
        launch.manage_config(schema=schema)


def test_a_schema_that_leads_out_of_itself_is_refused_by_name() -> None:
    with pytest.raises(launch.InputError, match=r"https://example\.org/s\.json, which is not fetched"):
        launch.manage_config(schema={"properties": {"a": {"$ref": "https://example.org/s.json"}}})


@pytest.mark.parametrize(
    ("schema", "faults"),
    [
        ({"type": "objekt"}, ["schema/type: 'objekt' is not valid", "schema/type: must be 'object'"]),
        (
            {"properties": {"a": {"$ref": "#/$defs/nope"}}},
            ["schema/properties/a/$ref: '#/$defs/nope' leads to nothing"],
        ),
        ({"properties": {"a": {"minimum": "x"}}}, ["schema/properties/a/minimum: 'x' is not of type 'number'"]),
        ({"properties": {"a": {"pattern": "("}}}, ["schema/properties/a/pattern: '(' is no regular expression"]),
        ({"type": "string"}, ["schema/type: must be 'object', the type of the whole, not 'string'"]),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "array"}}}, ["schema/type: must be 'object'"]),
    ],
)
def test_a_schema_that_is_none_is_refused_where_it_is_declared(
    tmp_path: Path, schema: dict[str, Any], faults: list[str]
) -> None:
    (tmp_path / "c.json").write_text("{}")
    for declare in (launch.manage_config, partial(launch.manage_config_file, "c.json")):
        with pytest.raises(launch.InputError) as caught:
            declare(schema=schema)
        told = str(caught.value).splitlines()[1:]
        assert len(told) == len(faults)
        assert all(line.startswith(f"  {fault}") for line, fault in zip(told, faults, strict=True))


def test_a_schema_may_have_what_jsonschema_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(tmp_path, monkeypatch, {"a": "x", "pattern": 3})
    launch.init(config={"a": "b", "pattern": 1})
    own = {"type": "string", "required": True, "pattern": r"^\p{L}+$"}
    schema = {"properties": {"a": own, "pattern": {"maximum": 2, "default": {"pattern": "("}}}}
    with pytest.raises(launch.InputError, match=r"config\.pattern: 3 is greater") as caught:
        launch.manage_config(schema=schema)
    assert "config.a" not in str(caught.value)


@pytest.mark.parametrize("paths", ["trainer", [1], [["a"]]])
def test_paths_are_a_list_of_texts(paths: Any) -> None:
    with pytest.raises(TypeError, match="include must be a list"):
        launch.manage_config(include=paths)


def test_a_path_with_a_backslash_at_its_end_is_refused() -> None:
    with pytest.raises(launch.InputError, match=r"exclude: Path .* single backslash"):
        launch.manage_config(exclude=["a\\"])


def test_what_was_given_can_be_loaded_without_what_is_no_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config-defaults.yaml").write_text("lr:\n  value: 7\n")
    assert launch.load_config() == {}
    _given(tmp_path, monkeypatch, {"a": {"lr": 0.5}, "b": 1}, checked=True)
    assert launch.load_config() == {"a": {"lr": 0.5}, "b": 1}
    launch.init(config={"a": {"lr": 0.1}})
    launch.manage_config(include=["a"])
    loaded = launch.load_config()
    assert loaded.a.lr == 0.5
    assert loaded == {"a": {"lr": 0.5}}
    loaded.a.lr = 3
    assert launch.config.a.lr == 0.5


def test_the_given_values_have_integers_where_the_script_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(tmp_path, monkeypatch, {"a": {"n": 8.0}, "lr": 2.0})
    launch.init(config={"a": {"n": 1}, "lr": 0.1})
    assert str(launch.load_config()) == str({"a": {"n": 8}, "lr": 2.0})


def test_a_file_is_declared_with_its_values_and_nothing_is_done_to_it(tmp_path: Path) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text("# mine\nlr: 0.1\nkey: {private: 1, open: 2}\n")
    before = path.read_bytes()
    launch.manage_config_file("./conf.yaml", exclude=["key.private"])
    launch.init(config={"a": 1})
    assert path.read_bytes() == before
    inputs = _declared()
    assert inputs["config"] is None
    assert inputs["files"]["conf.yaml"] == {
        "include": [],
        "exclude": [["key", "private"]],
        "schema": None,
        "values": {"lr": 0.1, "key": {"open": 2}},
    }


def test_files_and_the_run_config_are_declared_independently(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": 1, "y": 2}')
    (tmp_path / "b.toml").write_text("[t]\nz = 1.5\n")
    launch.init()
    launch.manage_config_file("a.json", include=["x"])
    launch.manage_config_file("b.toml")
    launch.manage_config_file("a.json", include=["y"])
    launch.manage_config(include=["lr"])
    inputs = _declared()
    assert inputs["config"]["include"] == [["lr"]]
    assert inputs["files"]["a.json"]["values"] == {"x": 1, "y": 2}
    assert inputs["files"]["b.toml"]["values"] == {"t": {"z": 1.5}}


def test_a_value_for_a_file_that_is_no_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.json").write_text('{"lr": 2, "seed": 1, "hidden": 5}')
    _given(tmp_path, monkeypatch, {}, {"./c.json": {"lr": 2, "hidden": 5}})
    launch.init()
    with pytest.raises(launch.InputError) as caught:
        launch.manage_config_file("c.json", exclude=["hidden"], schema={"properties": {"lr": {"maximum": 1}}})
    assert "files.c.json.hidden: is no input; inputs are lr, seed" in str(caught.value)
    assert "files.c.json.lr: 2 is greater than the maximum of 1" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/x.yaml", "must be relative"),
        ("../x.yaml", "leads upward"),
        ("a/../x.yaml", "leads upward"),
        ("out.yaml", "link out of the working directory"),
        ("away/x.yaml", "link out of the working directory"),
        ("none.yaml", "no such file in the working directory"),
        ("folder.json", "is no file"),
        ("x.ini", "only .json, .yaml, .yml, .toml"),
        ("", "give the path of a file"),
        ("bad.json", "cannot be read"),
        ("list.yaml", "must hold a mapping"),
        ("latin.yaml", "not UTF-8"),
    ],
)
def test_a_path_that_is_no_config_file_of_the_program_is_refused(tmp_path: Path, path: str, message: str) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "x.yaml").write_text("a: 1")
    (tmp_path / "out.yaml").symlink_to(outside / "x.yaml")
    (tmp_path / "away").symlink_to(outside)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.yaml").write_text("- 1")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(launch.InputError, match=message):
        launch.manage_config_file(path)


def test_two_dots_in_a_name_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a..b.yaml").write_text("")
    (tmp_path / "link.yaml").symlink_to("a..b.yaml")
    launch.manage_config_file(Path("a..b.yaml"))
    launch.manage_config_file("link.yaml")


def test_what_the_schema_of_a_file_names_may_be_new_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("c.json").write_text('{"trainer": {"lr": 1}, "seed": 3, "more": {"a": 1}}')
    files = {"./c.json": {"trainer": {"optimizer": "sgd"}, "seed": 3, "more": {"a": 1}, "other": 1}}
    _given(tmp_path, monkeypatch, {}, files, file_values={"c.json": {"trainer": {"lr": 1}, "more": {}}})
    launch.init()
    open_group = {"properties": {"more": {"additionalProperties": {"type": "integer"}}}}
    for schema, refused in ((_Model, ["more.a", "other"]), (open_group, ["trainer.optimizer", "seed", "other"])):
        with pytest.raises(launch.InputError) as caught:
            launch.manage_config_file("c.json", schema=schema)
        lines = str(caught.value).splitlines()[1:]
        assert [line.split(":")[0] for line in lines] == [f"  files.c.json.{path}" for path in refused]


class _Layer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    width: int = 1


class _Closed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    lr: float = 0.1
    layer: _Layer = _Layer()
    maybe: _Layer | None = None


def test_a_closed_schema_judges_only_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"lr": 0.5, "seed": 1, "layer": {"width": 1, "own": 2}, "maybe": {"width": 1, "own": 3}}
    _given(tmp_path, monkeypatch, {"lr": 0.2, "layer": {"width": 3}, "maybe": {"width": 4}})
    launch.manage_config(schema=_Closed)
    with launch.init(config=own) as run:
        assert run.config.layer.width == 3
    _given(tmp_path, monkeypatch, {"seed": 2, "layer": {"own": 3}, "maybe": {"own": 4}, "lr": 0.2})
    launch.manage_config(schema=_Closed)
    with pytest.raises(launch.InputError) as caught:
        launch.init(config=own)
    lines = str(caught.value).splitlines()[1:]
    assert "  config: takes no 'seed'" in lines
    assert "  config.layer: takes no 'own'" in lines
    assert any(line.startswith("  config.maybe:") for line in lines)
    assert len(lines) == 3


@pytest.mark.parametrize("declared", [{"include": ["a.b"]}, {"exclude": ["a.secret"]}])
def test_a_group_of_which_a_part_is_no_input_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any]
) -> None:
    held = {"a": {"b": 1, "secret": 2}}
    (tmp_path / "c.json").write_text("{}")
    _given(tmp_path, monkeypatch, {}, {"c.json": {"a": {"$delete": True}}}, file_values={"c.json": held})
    launch.manage_config_file("c.json", **declared)
    with pytest.raises(
        launch.InputError, match=r"c\.json\.a: cannot be removed, for not all .* inputs in it are a\.b$"
    ):
        launch.init()
    _given(tmp_path, monkeypatch, {}, {"c.json": {"a": {"b": {"$delete": True}}}}, file_values={"c.json": held})
    launch.manage_config_file("c.json", **declared)
    launch.init()


def test_values_are_held_against_every_declared_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(tmp_path, monkeypatch, {"lr": 2, "seed": -1})
    launch.manage_config(schema={"properties": {"lr": {"maximum": 1}}, "required": ["lr"]})
    launch.manage_config(schema={"properties": {"seed": {"minimum": 0}, "lr": {"minimum": 0}}, "required": ["seed"]})
    with pytest.raises(launch.InputError) as caught:
        launch.init(config={"lr": 1, "seed": 1})
    assert str(caught.value).splitlines()[1:] == [
        "  config.lr: 2 is greater than the maximum of 1",
        "  config.seed: -1 is less than the minimum of 0",
    ]


def test_a_model_names_its_values_by_its_fields_not_by_their_aliases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Aliased(pydantic.BaseModel):
        lr: float = pydantic.Field(0.1, alias="learning-rate", le=1)

    _given(tmp_path, monkeypatch, {"lr": 2})
    launch.manage_config(schema=Aliased)
    with pytest.raises(launch.InputError, match=r"config\.lr: 2 is greater than"):
        launch.init(config={"lr": 0.5})


def test_nan_is_within_no_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(tmp_path, monkeypatch, {"lr": float("nan"), "free": float("nan")})
    launch.manage_config(schema={"properties": {"lr": {"exclusiveMinimum": 0, "maximum": 1}, "free": {}}})
    with pytest.raises(launch.InputError) as caught:
        launch.init(config={"lr": 0.5, "free": 1.0})
    assert str(caught.value).splitlines()[1:] == ["  config.lr: nan is not within the bounds of the schema"]


def test_what_the_schema_of_a_file_requires_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.json").write_text("{}")
    held = {"m": {"depth": 1, "width": 2}}
    given = {"m": {"depth": {"$delete": True}, "width": {"$delete": True}}}
    _given(tmp_path, monkeypatch, {}, {"c.json": given}, file_values={"c.json": held})
    schema = {"properties": {"m": {"type": "object", "required": ["other", "depth"]}}}
    launch.manage_config_file("c.json", schema=schema)
    with pytest.raises(launch.InputError) as caught:
        launch.init()
    assert str(caught.value).splitlines()[1:] == ["  files.c.json.m.depth: is required and cannot be removed"]


def test_a_declaration_after_the_first_log_is_warned_of() -> None:
    run = launch.init(config={"a": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        launch.manage_config(include=["a"])
    run.log({"loss": 1})
    with pytest.warns(LaunchWarning, match=r"after the first log\(\)"):
        launch.manage_config(include=["b"])
    assert _declared()["config"]["include"] == [["a"], ["b"]]


def test_a_run_that_goes_on_after_a_preemption_may_declare_as_at_its_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _given(tmp_path, monkeypatch, {"b": 3})
    with launch.init(config={"a": 1, "b": 2}) as run:
        run.log({"loss": 1})
    with launch.init(config={"a": 1, "b": 2}) as run:
        assert run.step == 1
        launch.manage_config(include=["a"])
        launch.manage_config(include=["b"])
        run.log({"loss": 1})
