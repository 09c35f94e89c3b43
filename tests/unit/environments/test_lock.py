"""The packages of an earlier run: how they are installed again, and how they are compared."""

from __future__ import annotations

from launch_sdk.environments.lock import MAX_SHOWN, differences, python_of, requirements_of, shown


def test_a_lock_becomes_exact_requirements() -> None:
    found, left_out = requirements_of(
        {
            "packages": [
                {"name": "six", "version": "1.16.0"},
                {"name": "launch-sdk", "version": "0.1.0", "url": "file:///here", "editable": True},
                {
                    "name": "repo",
                    "version": "1",
                    "url": "https://h/r.git",
                    "vcs": "git",
                    "commit": "abc",
                    "subdirectory": "p",
                },
                {"name": "wheel1", "version": "1", "url": "https://h/w.whl"},
                {"name": "mine", "version": "0", "url": "file:///home/me/mine", "editable": True, "path": "libs/mine"},
                {"name": "away", "version": "0", "url": "file:///elsewhere", "editable": True},
                {"name": "torch", "version": "2.4.0+cu121"},
            ]
        }
    )
    assert found.lines == [
        "six==1.16.0",
        "repo @ git+https://h/r.git@abc#subdirectory=p",
        "wheel1 @ https://h/w.whl",
        "torch==2.4.0+cu121",
    ]
    assert found.folders == ["libs/mine"]
    assert found.options == ["--torch-backend", "cu121"]
    assert left_out == ["away 0 was installed from file:///elsewhere, which is not in the source"]


def test_a_lock_that_somebody_tampered_with_installs_nothing_but_packages() -> None:
    packages: list[object] = [
        {"name": "--index-url=http://x", "version": "1"},
        {"name": "a", "version": "1\n-r /etc/passwd"},
        {"name": "b", "version": "1", "url": "ext::sh", "vcs": "git", "commit": "x"},
        {"name": "c", "version": "1", "url": "https://h/x\n--pre"},
        {"name": "d", "version": "1", "path": "../../out", "url": "file:///x"},
        {"name": "e", "version": "1", "url": "https://h/r", "vcs": "git", "commit": "x\n-e /"},
        "six",
    ]
    found, left_out = requirements_of({"packages": packages})
    assert (found.lines, found.folders) == ([], [])
    assert len(left_out) == 4


def test_what_differs_is_listed() -> None:
    before = {
        "python": "3.11.7",
        "platform": "linux-x86_64",
        "gpus": ["NVIDIA A100"],
        "packages": [
            {"name": "same", "version": "1"},
            {"name": "six", "version": "1.16.0"},
            {"name": "gone", "version": "1"},
            {"name": "repo", "version": "1", "commit": "abc"},
            {"name": "launch-sdk", "version": "0"},
        ],
    }
    now = {
        "python": "3.12.1",
        "platform": "linux-x86_64",
        "gpus": [],
        "packages": [
            {"name": "same", "version": "1"},
            {"name": "six", "version": "1.17.0"},
            {"name": "repo", "version": "1", "commit": "def"},
            {"name": "more", "version": "1"},
        ],
    }
    assert differences(before, now) == [
        "python 3.11.7 -> 3.12.1",
        "GPU NVIDIA A100 -> none",
        "six 1.16.0 -> 1.17.0",
        "gone 1 is not installed",
        "repo abc -> def",
    ]
    assert differences(now, now) == []
    assert differences({}, {}) == []


def test_a_log_shows_the_first_differences_only() -> None:
    assert len(shown(["x"] * 100)) == MAX_SHOWN + 1
    assert shown(["x"]) == ["x"]


def test_a_lock_says_its_python() -> None:
    assert python_of({"python": "3.11.7"}) == "3.11"
    assert python_of({"python": None}) is None
