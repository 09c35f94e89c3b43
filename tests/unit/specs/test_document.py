"""Reading YAML and JSON: lines, traps of YAML, hostile files."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import MAX_DOCUMENT_BYTES, Document, dotted, parse_document, read_document

if TYPE_CHECKING:
    from pathlib import Path

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc<.~ é", max_size=6), inner, max_size=4),
    max_leaves=12,
)


def _faults(text: str) -> list[str]:
    with pytest.raises(InvalidSpecError) as caught:
        parse_document(text, name="file.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_every_value_knows_its_line() -> None:
    document = parse_document("a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    lines = {dotted(path): line for path, line in document.lines.items()}
    assert lines == {"": 1, "a": 1, "b": 3, "b[0]": 4, "b[1]": 5, "b[1].c": 5, "b[1].d": 6}


def test_a_fault_takes_the_line_of_the_nearest_value_that_exists() -> None:
    document = parse_document("a: 1\nb:\n  c: 2\n")
    assert document.fault(("b", "missing", 3), "x").line == 2
    assert document.fault(("nowhere",), "x").line == 1
    assert Document({}).fault(("b",), "x").line is None


def test_words_that_are_no_yaml_constants_stay_text() -> None:
    assert parse_document("[none, None, standard, 1e, e5, 1.2.3, '1e-4', nan, y, n]").value == [
        *("none", "None", "standard", "1e", "e5", "1.2.3", "1e-4", "nan", "y", "n")
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("yes", True),
        ("off", False),
        ("1e-4", 1e-4),
        ("-2E+3", -2000.0),
        ("+1.5e2", 150.0),
        ("1_000", 1000),
        (".inf", math.inf),
        ("0x10", 16),
    ],
)
def test_constants_and_numbers_are_read_as_the_value_they_mean(text: str, value: object) -> None:
    read = parse_document(text).value
    assert read == value
    assert type(read) is type(value)


@given(JSON_VALUES)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_whatever_json_writes_is_read_back(value: Any) -> None:
    assert parse_document(json.dumps(value)).value == value


def test_every_repeated_key_is_reported_with_both_lines() -> None:
    assert _faults("a: 1\nb: {c: 1, c: 2}\na: 2\n") == [
        "line 2: b.c: given twice, first on line 2",
        "line 3: a: given twice, first on line 1",
    ]


def test_anchors_aliases_and_merges_are_understood() -> None:
    text = "base: &b {lr: 1, q: 2}\none: {<<: *b, lr: 3}\ntwo: *b\n"
    document = parse_document(text)
    assert document.value == {"base": {"lr": 1, "q": 2}, "one": {"lr": 3, "q": 2}, "two": {"lr": 1, "q": 2}}


def test_aliases_that_would_explode_are_refused() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{c}: &{c} [{','.join(['*' + p] * 9)}]" for p, c in zip("abcdefgh", "bcdefghi", strict=True)]
    assert _faults("\n".join(lines)) == ["the document has more than 100000 values"]


@pytest.mark.parametrize("text", ["&a [*a]", "&a {x: *a}", "&a [*a, *a]", "x: &x {<<: *x}", "? &a [*a]\n: 1"])
def test_a_document_inside_itself_is_refused(text: str) -> None:
    assert _faults(text)


@pytest.mark.parametrize("depth", [100, 2_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    assert len(_faults("[" * depth + "]" * depth)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "line 1: not valid YAML"),
        ("a: 1\n\tb: 2", "line 2: not valid YAML"),
        ("a: 1\n---\nb: 2", "line 2: not valid YAML"),
        ("a: 1\nb: 2020-99-99", "line 2: not valid YAML: month must be in 1..12"),
        ("a: 1\nb: !!int x", "line 2: not valid YAML"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]", "line 2: not valid YAML"),
        ("a: 1\nb: " + "9" * 5000, "line 2: not valid YAML"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_text_that_is_no_yaml_names_its_line(text: str, expected: str) -> None:
    assert _faults(text)[0].startswith(expected)


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@`,?~<0123456789.ex_\n\t \r\\é\0\ud800"), max_size=40))
@settings(deadline=None, max_examples=300, derandomize=True)
def test_no_text_raises_anything_but_an_invalid_spec(text: str) -> None:
    try:
        document = parse_document(text)
    except InvalidSpecError as error:
        assert error.faults  # noqa: PT017  # either outcome is right; a refusal must say why
    else:
        assert set(document.lines) <= {(), *document.lines}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match=r"nothing\.yaml.*\n.*No such file"):
        read_document(tmp_path / "nothing.yaml")


def test_a_directory_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin1.yaml"
    file.write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(InvalidSpecError, match="not UTF-8"):
        read_document(file)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as opened:
        opened.truncate(MAX_DOCUMENT_BYTES + 1)
    with pytest.raises(InvalidSpecError, match="larger than"):
        read_document(file)


def test_a_file_gives_its_folder_and_its_name(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("a: 1")
    document = read_document(file)
    assert (document.directory, document.name) == (tmp_path.resolve(), str(file))
