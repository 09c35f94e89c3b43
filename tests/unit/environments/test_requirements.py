"""What may stand in requirements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from launch_sdk.environments.requirements import SOURCE, Requirements, logical_lines, read_file, without_password

if TYPE_CHECKING:
    from pathlib import Path


def _read(source: Path, text: str) -> Requirements:
    (source / "requirements.txt").write_text(text)
    return read_file(source, "requirements.txt")


def test_ordinary_lines_are_taken_as_they_are(source: Path) -> None:
    lines = [
        "six==1.16.0",
        'idna>=3; python_version < "3.13"',
        "pandas[excel,plot]~=2.0",
        "demo @ https://host/demo-1.0-py3-none-any.whl",
        "demo2 @ git+https://host/demo.git@v1#subdirectory=py",
        "git+ssh://git@host/demo3.git",
        "https://host/demo4.tar.gz",
        "hashed==1.0 --hash=sha256:abc --hash=sha256:def",
    ]
    found = _read(source, "\n".join(lines))
    assert (found.lines, found.faults) == (lines, [])


def test_comments_blanks_and_continued_lines_are_read_as_pip_reads_them() -> None:
    text = "# head\n\nsix==1.0 \\\n    --hash=sha256:a\nidna # why\n  git+https://h/r#egg=x\nlast \\"
    assert [line.split() for _, line in logical_lines(text)] == [
        ["six==1.0", "--hash=sha256:a"],
        ["idna"],
        ["git+https://h/r#egg=x"],
        ["last"],
    ]
    assert [number for number, _ in logical_lines(text)] == [3, 5, 6, 7]


def test_included_files_are_read_too_and_constraints_stay_constraints(source: Path) -> None:
    (source / "deep").mkdir()
    (source / "deep" / "more.txt").write_text("idna\n-c limits.txt\n-r ../requirements.txt\n")
    (source / "deep" / "limits.txt").write_text("six<2\n")
    found = _read(source, "-r deep/more.txt\n--requirement=deep/more.txt\nsix\n")
    assert (found.lines, found.constraints, found.faults) == (["idna", "six"], ["six<2"], [])


def test_indexes_and_choices_are_handed_on(source: Path) -> None:
    text = "--extra-index-url https://me:secret@host/simple\n-i=https://host/\n--pre\n--no-binary numpy\nsix\n"
    found = _read(source, text)
    assert found.faults == []
    assert found.options == [
        *("--extra-index-url", "https://me:secret@host/simple"),
        *("--index-url", "https://host/"),
        *("--pre", "--no-binary", "numpy"),
    ]


def test_packages_and_archives_of_the_source_may_be_named(source: Path) -> None:
    (source / "libs" / "demo").mkdir(parents=True)
    (source / "libs" / "demo" / "pyproject.toml").write_text("[project]")
    (source / "x-1.0-py3-none-any.whl").write_text("")
    found = _read(source, "-e ./libs/demo[fast]\n./x-1.0-py3-none-any.whl\nd2 @ file:libs/demo\n")
    assert found.faults == []
    assert found.folders == ["libs/demo"]
    assert found.lines == [
        f"{SOURCE}/libs/demo[fast]",
        f"{SOURCE}/x-1.0-py3-none-any.whl",
        f"{SOURCE}/libs/demo",
    ]
    assert set(found.digests) == {"libs/demo/pyproject.toml", "x-1.0-py3-none-any.whl"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r ../../x", "../../x leads out of the source"),
        ("-r/etc/passwd", "/etc/passwd leads out of the source"),
        ("-r https://host/r.txt", "only a file of the source can be included"),
        ("-r missing.txt", "missing.txt is not in the source"),
        ("-c ../limits.txt", "leads out"),
        ("-r link.txt", "link.txt leads out of the source"),
        ("-e ../other", "../other leads out of the source"),
        ("--editable=/home/me/lib", "leads out"),
        ("../wheels/x.whl", "leads out"),
        ("~/x", "~/x is not in the source"),
        ("${HOME}/x", "is not in the source"),
        ("name @ file:///etc/x", "/etc/x leads out of the source"),
        ("name @ file:../x", "leads out"),
        ("file:///etc/x", "leads out"),
        ("-e git+ext::sh -c touch% /tmp/pwned", "only https, http"),
        ("git+ext::sh -c touch% /tmp/pwned", "only https, http"),
        ("git+file:///srv/repo", "only https, http"),
        ("git+git://host/r", "only https, http"),
        ("name @ hg+https://host/r", "only https, http"),
        ("git@host:me/repo", "only https, http"),
        ("git+ftp://me:secret@host/r", "git+ftp://***@host/r"),
        ("--index-url file:///srv/simple", "only an index with an http or https address"),
        ("--find-links ./wheels", "only an index with an http or https address"),
        ("--trusted-host host", "the option --trusted-host cannot be used here"),
        ("--config-settings=x", "the option --config-settings cannot be used here"),
        ("--pre=x", "--pre"),
        ("./x\0y", "is not in the source"),
    ],
)
def test_what_leads_out_or_runs_commands_is_refused(source: Path, line: str, said: str) -> None:
    (source.parent / "limits.txt").write_text("six")
    (source / "link.txt").symlink_to(source.parent / "limits.txt")
    found = _read(source, f"six\n{line}\n")
    assert [fault.line for fault in found.faults] == [2]
    assert said in str(found.faults[0])
    assert found.lines == ["six"]
    assert found.options == []


def test_every_fault_is_told_with_its_file_and_line(source: Path) -> None:
    (source / "more.txt").write_text("--bad\n")
    faults = _read(source, "-r more.txt\n/x\n").faults
    assert [(fault.path, fault.line) for fault in faults] == [("more.txt", 1), ("requirements.txt", 2)]


def test_a_file_that_is_no_text_is_a_fault(source: Path) -> None:
    (source / "requirements.txt").write_bytes(b"\xff\xfe\xfa")
    assert "cannot be read" in str(read_file(source, "requirements.txt").faults[0])


def test_passwords_are_left_out_of_what_is_shown() -> None:
    text = "error: https://me:pa:ss@host/simple and git+ssh://git@host"
    assert without_password(text) == "error: https://***@host/simple and git+ssh://***@host"
