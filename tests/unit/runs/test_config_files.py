"""Values written into the config files of a run's own copy: what changes, what stays, what is refused."""

from __future__ import annotations

import copy
import json
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.runs.config_files import patch_files
from launch_sdk.runs.file_formats import UnreadableError, patched_json, patched_toml
from launch_sdk.runs.file_merge import lay_over
from launch_sdk.runs.yaml_file import patched_yaml

_ANCHORED = """\
# head
base: &b
  lr: 0.1  # the step
  layers: [1, 2]
  opt: {name: adam, eps: 1.0e-8}
run:
  <<: *b
  lr: 0.2
other: *b

"quoted key": 'single'
tail:
  - a
  - b
"""

_WORDS = st.sampled_from(["a", "b", "c", "on", "1", "x y", "é", "~", "#k", "a.b", "null", "$delete"])
_TEXTS = _WORDS | st.sampled_from(
    ["yes", "1e-5", "0o17", "017", "12:30", "2020-01-01", "- x", "a: b", "", " s ", "1_0"]
)
_LEAVES = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
_PLAIN = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_WORDS, inner, max_size=3))
_TREES = st.dictionaries(_WORDS, _PLAIN, max_size=4)


def _merged(own: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(own)
    lay_over(result, values)
    return result


@settings(max_examples=60, deadline=None)
@given(_TREES, st.dictionaries(_WORDS, _PLAIN | st.none() | st.just({"$delete": True}), max_size=4))
def test_a_json_file_read_back_is_the_merge(own: dict[str, Any], values: dict[str, Any]) -> None:
    assert json.loads(patched_json(json.dumps(own, indent=2), values)) == _merged(own, values)


@settings(max_examples=60, deadline=None)
@given(_TREES, st.dictionaries(_WORDS, _PLAIN | st.none() | st.just({"$delete": True}), max_size=4))
def test_a_yaml_file_read_back_is_the_merge(own: dict[str, Any], values: dict[str, Any]) -> None:
    text = yaml.safe_dump(own, allow_unicode=True, sort_keys=False)
    assert yaml.safe_load(patched_yaml(text, values)) == _merged(own, values)


@settings(max_examples=60, deadline=None)
@given(_TREES, st.dictionaries(_WORDS, _PLAIN | st.just({"$delete": True}), max_size=4))
def test_a_toml_file_read_back_is_the_merge(own: dict[str, Any], values: dict[str, Any]) -> None:
    assert tomllib.loads(patched_toml(tomlkit.dumps(own), values)) == _merged(own, values)


@pytest.mark.parametrize(
    ("own", "values", "result"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 9}}, {"a": {"b": 9, "c": 2}}),
        ({"a": {"b": 1}}, {"a": 3}, {"a": 3}),
        ({"a": 3}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": [1, 2, 3]}, {"a": [9]}, {"a": [9]}),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({"a": 1, "b": 2}, {"a": {"$delete": True}, "z": {"$delete": True}}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": {"$delete": True}}}, {"a": {"c": 2}}),
        ({"a": 1}, {"a": {"b": {"$delete": True}, "c": 1}}, {"a": {"c": 1}}),
        ({"a": 1, "b": {"c": 1}}, {"a": {}, "b": {}}, {"a": 1, "b": {"c": 1}}),
        ({}, {"new": {"deep": {"x": 1}}, "empty": {}}, {"new": {"deep": {"x": 1}}, "empty": {}}),
    ],
)
def test_values_are_laid_over_those_of_the_file(
    own: dict[str, Any], values: dict[str, Any], result: dict[str, Any]
) -> None:
    assert _merged(own, values) == result
    assert json.loads(patched_json(json.dumps(own), values)) == result
    assert yaml.safe_load(patched_yaml(yaml.safe_dump(own), values)) == result
    if None not in values.values():
        assert tomllib.loads(patched_toml(tomlkit.dumps(own), values)) == result


def test_comments_order_quotes_and_anchors_of_yaml_stay() -> None:
    patched = patched_yaml(_ANCHORED, {"tail": ["c"], "quoted key": "new", "run": {"lr": 3}})
    expected = _ANCHORED.replace("0.2", "3").replace("'single'", "'new'").replace("  - a\n  - b\n", "  - c\n")
    assert patched == expected


def test_a_value_given_at_an_anchor_is_seen_by_its_aliases() -> None:
    read = yaml.safe_load(patched_yaml(_ANCHORED, {"base": {"lr": 9, "opt": {"name": "sgd"}}}))
    assert read["other"] == read["base"]
    assert read["run"] == {**read["base"], "lr": 0.2}
    assert read["base"]["lr"] == 9


def test_a_value_given_at_an_alias_or_a_merged_key_leaves_the_anchor_as_it_is() -> None:
    patched = patched_yaml(_ANCHORED, {"other": {"lr": 5}, "run": {"opt": {"eps": 1e-5}}})
    before, read = yaml.safe_load(_ANCHORED), yaml.safe_load(patched)
    assert read["base"] == before["base"]
    assert read["other"] == {**before["other"], "lr": 5}
    assert read["run"] == {**before["run"], "opt": {"name": "adam", "eps": 1e-5}}
    assert "&b" in patched
    assert "<<: *b" in patched


@pytest.mark.parametrize(("place", "rest"), [("run", "base"), ("base", "tail"), ("other", "base")])
def test_a_merged_key_can_be_deleted(place: str, rest: str) -> None:
    before = yaml.safe_load(_ANCHORED)
    read = yaml.safe_load(patched_yaml(_ANCHORED, {place: {"layers": {"$delete": True}}}))
    assert "layers" not in read[place]
    assert read[rest] == before[rest]


def test_text_that_readers_of_yaml_take_for_something_else_is_quoted() -> None:
    words = ["yes", "1e-5", "017", "12:30", "null", "2020-01-01", "", "# no", "true", ".inf", "0x1f"]
    patched = patched_yaml("a: 1\n", {"words": words, "tiny": 1e-05, "text": "one\ntwo"})
    assert yaml.safe_load(patched) == {"a": 1, "words": words, "tiny": 1e-05, "text": "one\ntwo"}


def test_a_text_that_looks_like_a_day_that_no_month_has_is_quoted() -> None:
    assert patched_yaml("day: a\n", {"day": "2024-02-30"}) == 'day: "2024-02-30"\n'


@pytest.mark.parametrize(
    ("patched", "own", "expected"),
    [
        (patched_yaml, "n: 1\nl: [1, 2]\nx: 0.5\n", "n: 6\nl: [3, 4.5]\nx: 6.0\n"),
        (patched_toml, "n = 1\nl = [1, 2]\nx = 0.5\n", "n = 6\nl = [3, 4.5]\nx = 6.0\n"),
        (patched_json, '{"n": 1, "l": [1, 2], "x": 0.5}', '{"n": 6, "l": [3, 4.5], "x": 6.0}'),
    ],
)
def test_a_whole_number_is_written_as_an_integer_where_one_stands(patched: Any, own: str, expected: str) -> None:
    assert patched(own, {"n": 6.0, "l": [3.0, 4.5], "x": 6.0}) == expected


def test_a_key_that_is_a_number_in_yaml_is_named_by_its_text() -> None:
    assert yaml.safe_load(patched_yaml("1: a\n2.5: b\n", {"1": "c"})) == {1: "c", 2.5: "b"}


def test_the_indentation_of_yaml_stays() -> None:
    text = "a:\n    b: 1\n    c:\n      - 1\n      - 2\n"
    assert patched_yaml(text, {"a": {"b": 2}}) == text.replace("b: 1", "b: 2")


def test_a_tag_makes_no_object(tmp_path: Path) -> None:
    text = f"a: 1\nb: !!python/object/apply:os.mkdir [{tmp_path}/made]\n"
    patched = patched_yaml(text, {"a": 2})
    assert patched == text.replace("a: 1", "a: 2")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ('{\n    "b": 1,\n    "a": [1]\n}\n', {"b": 2}, '{\n    "b": 2,\n    "a": [\n        1\n    ]\n}\n'),
        ('{"b": 1, "a": 2}', {"a": 3}, '{"b": 1, "a": 3}'),
        ('{"b":1,"a":2}\n', {"a": 3}, '{"b":1,"a":3}\n'),
        ('{\r\n\t"b": "é"\r\n}', {"b": "ü"}, '{\r\n\t"b": "ü"\r\n}'),
        ("", {"a": 1}, '{\n  "a": 1\n}\n'),
        ('\ufeff{"a": 1}', {"a": 2}, '\ufeff{"a": 2}'),
    ],
)
def test_the_form_of_json_stays(text: str, values: dict[str, Any], expected: str) -> None:
    assert patched_json(text, values) == expected


def test_the_form_of_toml_stays() -> None:
    text = '# head\nlr = 0.1 # step\n\n[opt]  # group\nname = "adam"\neps = 1e-8\n\n[[runs]]\nx = 1\n'
    patched = patched_toml(text, {"lr": 0.5, "opt": {"name": "sgd", "new": True}})
    assert '# head\nlr = 0.5 # step\n\n[opt]  # group\nname = "sgd"\neps = 1e-8\n' in patched
    assert tomllib.loads(patched)["opt"] == {"name": "sgd", "eps": 1e-8, "new": True}


def test_a_group_may_take_the_place_of_a_value_in_toml() -> None:
    patched = patched_toml("a = 1\nb = 2\n[c]\nd = 3\n", {"a": {"x": 1}})
    assert tomllib.loads(patched) == {"a": {"x": 1}, "b": 2, "c": {"d": 3}}


def test_toml_has_no_null() -> None:
    with pytest.raises(UnreadableError, match=r"cannot hold null, which is given for a\.b\.0"):
        patched_toml("", {"a": {"b": [None]}})


def test_dates_and_times_stay_what_they_are() -> None:
    own = "d: 2020-01-01 # day\nt: 2020-01-01T10:00:00\nl: [2020-01-01]\nother: 2020-01-01\n"
    given = {"d": "2021-02-03", "t": "2021-02-03T11:00:00", "l": ["2021-02-03"], "other": "soon"}
    day, moment = date(2021, 2, 3), datetime(2021, 2, 3, 11)  # noqa: DTZ001  # as the file has it
    expected = {"d": day, "t": moment, "l": [day], "other": "soon"}
    patched = patched_yaml(own, given)
    assert yaml.safe_load(patched) == expected
    assert patched.startswith("d: 2021-02-03 # day\n")
    toml = "d = 2020-01-01 # day\nt = 2020-01-01T10:00:00\nl = [2020-01-01]\nother = 2020-01-01\nat = 10:00:00\n"
    patched = patched_toml(toml, {**given, "at": "11:30:00"})
    assert tomllib.loads(patched) == {**expected, "at": time(11, 30)}
    assert patched.startswith("d = 2021-02-03 # day\n")


@pytest.mark.parametrize("own", ["3e-4", "1.5e5", "1E5"])
@pytest.mark.parametrize(
    ("given", "written"), [(1e-5, "1e-5"), (0.5, "5e-1"), (3, "3e0"), (-1.5e-7, "-15e-8"), ("1e-5", "1e-5")]
)
def test_a_number_without_a_point_is_written_so_that_every_reader_takes_it_as_before(
    own: str, given: Any, written: str
) -> None:
    patched = patched_yaml(f"lr: {own} # rate\n", {"lr": given})
    assert patched.split() == ["lr:", written, "#", "rate"]
    assert yaml.safe_load(patched) == {"lr": written}
    assert YAML(typ="safe", pure=True).load(patched) == {"lr": float(given)}  # pyright: ignore[reportUnknownMemberType]


def test_comments_alone_are_kept() -> None:
    assert patched_yaml("# nothing yet", {"a": 1}) == "# nothing yet\na: 1\n"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "conf").mkdir(parents=True)
    (work / "conf/train.yaml").write_text("lr: 0.1 # step\n")
    (work / "a.json").write_text('{"x": 1}')
    (work / "list.yaml").write_text("- 1\n")
    (work / "bad.json").write_text("{")
    (work / "bad.toml").write_text("a = ")
    (work / "bad.yaml").write_text("a: [")
    (work / "two.yaml").write_text("a: 1\n---\na: 2\n")
    (work / "latin.yaml").write_bytes(b"a: \xe9")
    (work / "folder.json").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text("a: 1\n")
    (work / "away").symlink_to(outside)
    (work / "link.yaml").symlink_to(outside / "x.yaml")
    (work / "inner.yaml").symlink_to("conf/train.yaml")
    return work


def test_files_are_changed_in_place_and_keep_their_permissions(work: Path) -> None:
    (work / "a.json").chmod(0o640)
    patch_files(work, {"./conf/train.yaml": {"lr": 0.5}, "a.json": {"x": 2}})
    assert (work / "conf/train.yaml").read_text() == "lr: 0.5 # step\n"
    assert (work / "a.json").read_text() == '{"x": 2}'
    assert (work / "a.json").stat().st_mode & 0o777 == 0o640
    assert not list(work.rglob(".patching-*"))


def test_a_link_within_the_copy_is_followed_and_stays_a_link(work: Path) -> None:
    patch_files(work, {"inner.yaml": {"lr": 0.5}, "conf/train.yaml": {"new": 1}})
    assert (work / "inner.yaml").is_symlink()
    assert yaml.safe_load((work / "conf/train.yaml").read_text()) == {"lr": 0.5, "new": 1}


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/etc/x.yaml", "must be relative"),
        ("../outside/x.yaml", "leads out of"),
        ("conf/../../outside/x.yaml", "leads out of"),
        ("away/x.yaml", "is a link out of"),
        ("link.yaml", "is a link out of"),
        ("away/new.yaml", "is a link out of"),
        ("a\0.yaml", "leads out of"),
        ("x.ini", "is no config file; .json, .yaml, .yml, .toml are"),
        ("folder.json", "is no file"),
        ("list.yaml", "holds a list at its top level"),
        ("bad.json", "is not JSON"),
        ("bad.toml", "is not TOML"),
        ("bad.yaml", "is not YAML"),
        ("two.yaml", "is not YAML"),
        ("latin.yaml", "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_and_none_is_changed(work: Path, path: str, fault: str) -> None:
    with pytest.raises(InvalidSpecError, match=fault):
        patch_files(work, {"a.json": {"x": 2}, path: {"a": 2}})
    assert (work / "a.json").read_text() == '{"x": 1}'
    assert (work.parent / "outside/x.yaml").read_text() == "a: 1\n"


def test_every_fault_is_told_at_once(work: Path) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        patch_files(work, {"../x.yaml": {"a": 1}, "bad.json": {"a": 1}, "missing.yaml": {"a": 1}})
    assert len(caught.value.faults) == 2


def test_a_missing_file_is_told_with_those_that_are_there(work: Path) -> None:
    with pytest.raises(NotFoundError, match=r"train\.yaml is not in the source\. It holds conf/train\.yaml"):
        patch_files(work, {"train.yaml": {"lr": 1}})


def test_a_file_that_is_too_large_is_refused(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch_sdk.runs.config_files.MAX_FILE_BYTES", 4)
    with pytest.raises(InvalidSpecError, match="is larger than"):
        patch_files(work, {"a.json": {"x": 2}})


def test_nothing_given_changes_nothing(work: Path) -> None:
    patch_files(work, {"bad.json": {}, "conf/train.yaml": {}})
    assert (work / "conf/train.yaml").read_text() == "lr: 0.1 # step\n"


def test_what_a_file_cannot_hold_is_refused(work: Path) -> None:
    with pytest.raises(InvalidSpecError, match="cannot hold"):
        patch_files(work, {"a.json": {"x": b"raw"}})


def test_a_yaml_file_whose_aliases_stand_for_more_than_fits_is_refused_at_once() -> None:
    rows = [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(UnreadableError, match="more than 100000 values, its aliases written out"):
        patched_yaml("\n".join(["a0: &a0 [1,2,3,4,5,6,7,8,9]", *rows]), {"ok": 3})
