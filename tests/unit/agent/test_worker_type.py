"""The worker type, as Prefect and its command line see it."""

from __future__ import annotations

import subprocess
import sys

from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker

from launch_sdk.agent.worker import LaunchWorker


def test_prefect_finds_the_worker_type_by_its_entry_point() -> None:
    assert BaseWorker.get_worker_class_from_type("launch") is LaunchWorker


def test_a_queue_s_job_template_is_that_of_the_process_worker_which_can_serve_it_too() -> None:
    assert LaunchWorker.get_default_base_job_template() == ProcessWorker.get_default_base_job_template()


def test_importing_the_worker_type_loads_nothing_beyond_prefect_s_own_worker() -> None:
    """Every `prefect` command imports it."""
    show = "import sys; print('\\n'.join(sys.modules))"
    code = f"import prefect.workers.process; {show}", f"import launch_sdk.agent.worker; {show}"
    before, after = (
        set(subprocess.run([sys.executable, "-c", one], capture_output=True, text=True, check=True).stdout.split())
        for one in code
    )
    assert {name for name in after - before if not name.startswith("launch_sdk")} == set()
    assert {name for name in after if name.startswith("launch_sdk")} <= {
        "launch_sdk",
        "launch_sdk.agent",
        "launch_sdk.agent.cached_reads",
        "launch_sdk.agent.channel",
        "launch_sdk.agent.devices",
        "launch_sdk.agent.job_configuration",
        "launch_sdk.agent.slots",
        "launch_sdk.agent.worker",
        "launch_sdk.errors",
        "launch_sdk.specs",
        "launch_sdk.specs.resources",
    }
