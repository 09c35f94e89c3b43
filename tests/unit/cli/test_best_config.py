"""The config file of a best run is read back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.cli.best_config import config_yaml
from launch_sdk.tracking.config_files import read_config_file

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "lr": 1e-05,
    "large": 1e300,
    "text": "1e-4",
    "yes": "yes",
    "off": False,
    "none": None,
    "word": "ünï",
    "lines": "a\nb: c\n",
    "model": {"sizes": [1, 2], "same": [1, 2], "a.b": {"c": 1}},
    "value": 3,
    "entry": {"value": 4},
    "described": {"desc": "x", "value": {"value": 1}},
    "plain": {"value": 1, "other": 2},
    "infinite": float("inf"),
}


def test_every_value_comes_back(tmp_path: Path) -> None:
    shared = [1, 2]
    config = CONFIG | {"shared": [shared, shared]}
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml(config), encoding="utf-8")
    assert read_config_file(str(path)) == config
    assert "&id" not in path.read_text(encoding="utf-8")
