"""The way to a cluster: the manifest that Prefect's Kubernetes worker makes of our deployment, without a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import jsonschema
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import DeploymentStatus, FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_URL, temporary_settings

from launch_sdk._prefect.image_deployments import deploy_image
from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.image_deployment import ImageDeployment
from launch_sdk.specs.run_spec import RunSpec

worker = pytest.importorskip("prefect_kubernetes.worker", reason="NO prefect-kubernetes, whose manifests are checked")
IMAGE = "registry.example.com/team/train:1"
# Of the Kubernetes API, batch/v1 Job: what a restricted cluster demands of what we ask for.
JOB: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "batch/v1"},
        "kind": {"const": "Job"},
        "spec": {
            "type": "object",
            "required": ["template", "backoffLimit"],
            "properties": {
                "backoffLimit": {"const": 0},
                "template": {
                    "properties": {
                        "spec": {
                            "required": ["containers", "restartPolicy"],
                            "properties": {
                                "restartPolicy": {"const": "Never"},
                                "hostNetwork": False,
                                "hostPID": False,
                                "volumes": False,
                                "securityContext": False,
                                "containers": {
                                    "minItems": 1,
                                    "maxItems": 1,
                                    "items": {
                                        "required": ["image", "args", "imagePullPolicy", "env"],
                                        "properties": {
                                            "image": {"const": IMAGE},
                                            "imagePullPolicy": {"const": "IfNotPresent"},
                                            "args": {"const": ["/opt/launch/bin/prefect", "flow-run", "execute"]},
                                            "securityContext": False,
                                        },
                                    },
                                },
                            },
                        }
                    }
                },
            },
        },
    },
}


async def deployed(**variables: Any) -> tuple[DeploymentResponse, dict[str, Any]]:
    template = worker.KubernetesWorker.get_default_base_job_template()
    async with get_client() as client:
        pool = WorkPoolCreate(name="tests-cluster", type="kubernetes", base_job_template=template)
        await client.create_work_pool(pool, overwrite=True)
        spec = RunSpec("sha256:0", ("train.py",), args=("--fast",))
        wanted = ImageDeployment("in-cluster", spec, IMAGE, "/workspace", "tests-cluster", True, variables)
        return await client.read_deployment_by_name(await deploy_image(client, wanted)), template


def test_a_deployment_becomes_a_job_that_a_cluster_takes(prefect_server: str) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        deployment, template = asyncio.run(deployed(namespace="ml", cpu_limit="2", memory_limit="4Gi"))
        assert deployment.status in {DeploymentStatus.NOT_READY, DeploymentStatus.READY}
        assert deployment.parameters["source"] == "/workspace"
        made = worker.KubernetesWorkerJobConfiguration
        values = deployment.job_variables or {}
        configuration = asyncio.run(made.from_template_and_values(template, values))
        run = FlowRun(flow_id=deployment.flow_id, name="a run")
        configuration.prepare_for_flow_run(run, deployment=deployment)
    jsonschema.validate(configuration.job_manifest, JOB)
    container = configuration.job_manifest["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    assert configuration.job_manifest["metadata"]["namespace"] == "ml"
    assert {"name": "PREFECT__FLOW_RUN_ID", "value": str(run.id)} in container["env"]


def test_a_submitter_cannot_become_another_account_of_the_cluster(prefect_server: str) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server}), pytest.raises(InvalidSpecError) as error:
        asyncio.run(deployed(service_account_name="admin", image="other", nodes=3))
    assert {fault.path for fault in error.value.faults} == {"service_account_name", "image", "nodes"}
