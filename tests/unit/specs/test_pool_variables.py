"""What one run may ask of a cluster or an engine: nothing that reaches beyond its container."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.specs.pool_variables import variable_faults

POD = "job_manifest.spec.template.spec"


CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"job_manifest": {"spec": {"template": {"spec": {"securityContext": {"runAsUser": 0}}}}}},
        f"{POD}.securityContext",
    ),
    ({"a": {"initContainers": [{"security_context": {}}]}}, "a.initContainers[0].security_context"),
    ({"a": {"volumes": [{"hostPath": {"path": "/"}}]}}, "a.volumes"),
    ({"a": [{"hostPath": {"path": "/"}}]}, "a[0].hostPath"),
    *(({name: True}, name) for name in ("hostPID", "hostIPC", "hostNetwork", "hostUsers", "shareProcessNamespace")),
    *(({name: "x"}, name) for name in ("serviceAccountName", "serviceAccount", "service_account_name")),
    ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
    ({"x": [{"sources": [{"serviceAccountToken": {}}]}]}, "x[0].sources[0].serviceAccountToken"),
    ({"ports": [{"hostPort": 80}]}, "ports[0].hostPort"),
    ({"mounts": [{"mountPropagation": "Bidirectional"}]}, "mounts[0].mountPropagation"),
    (
        {"annotations": {"container.apparmor.security.beta.kubernetes.io/x": "unconfined"}},
        "annotations.container.apparmor.security.beta.kubernetes.io/x",
    ),
    *(({name: ["x"]}, name) for name in ("volumes", "privileged", "networks", "network_mode", "command")),
    ({"container_create_kwargs": {"pid_mode": "host"}}, "container_create_kwargs"),
]


@pytest.mark.parametrize(("given", "path"), CASES)
def test_what_reaches_beyond_a_container_is_refused_wherever_it_stands(given: dict[str, Any], path: str) -> None:
    assert [fault.path for fault in variable_faults(given)] == [path]


def test_what_a_run_may_ask_for_is_left_alone() -> None:
    given = {"namespace": "ml", "cpu_limit": "2", "mem_limit": "2g", "labels": {"host": "x"}, "env": {"A": "b"}}
    assert variable_faults(given | {"mountPropagation": "None"}) == []
