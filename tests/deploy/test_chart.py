"""The chart: strict lint; every document fits Kubernetes' schemas, and no service lacks a part."""

import importlib
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from studio9_cli.project import root

SERVICES = {"baile", "orion", "aries", "argo", "taurus", "pegasus"}
CHART = root() / "deploy" / "helm" / "studio9"
KUBERNETES = "1.35"


def run(helm: Path, *arguments: str) -> str:
    done = subprocess.run([str(helm), *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def documents(helm: Path) -> list[dict[str, Any]]:
    options = ["--set", "ingress.enabled=true", "--set", "ingress.host=studio9.example"]
    rendered = run(helm, "template", "s9", str(CHART), "--kube-version", f"{KUBERNETES}.0", *options)
    return [document for document in yaml.safe_load_all(rendered) if document]


def by_kind(documents: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for document in documents:
        found[document["kind"]][document["metadata"]["labels"]["app.kubernetes.io/name"]] = document
    return found


def test_lint_is_strict(helm: Path) -> None:
    assert "0 chart(s) failed" in run(helm, "lint", "--strict", str(CHART))


def test_an_ingress_without_a_host_is_refused_by_name(helm: Path) -> None:
    arguments = ["template", "s9", str(CHART), "--kube-version", f"{KUBERNETES}.0", "--set", "ingress.enabled=true"]
    done = subprocess.run([str(helm), *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "ingress.host is needed" in done.stderr


def test_every_document_fits_the_schemas(documents: list[dict[str, Any]]) -> None:
    assert len(documents) > 30
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    spoilt = next(document for document in documents if document["kind"] == "Deployment")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**spoilt, "spec": {**spoilt["spec"], "replicas": "two"}}, KUBERNETES, strict=True)


def test_every_service_has_all_its_parts(documents: list[dict[str, Any]]) -> None:
    found = by_kind(documents)
    assert set(found["Deployment"]) == set(found["Service"]) == SERVICES
    assert set(found["DaemonSet"]) == {"worker"}
    for kind in ("ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"):
        assert set(found[kind]) == SERVICES | {"worker"}, kind


def test_containers_are_locked_down_and_probed(documents: list[dict[str, Any]]) -> None:
    found = by_kind(documents)
    for name, workload in (found["Deployment"] | found["DaemonSet"]).items():
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), name
        assert container["resources"]["limits"]["memory"], name
        assert not any("password" in variable["name"].lower() for variable in container["env"]), name


def test_a_service_is_reached_by_its_callers_alone(documents: list[dict[str, Any]]) -> None:
    policies = by_kind(documents)["NetworkPolicy"]

    def callers(service: str) -> set[str]:
        peers = [peer for rule in policies[service]["spec"]["ingress"] for peer in rule.get("from", [])]
        return {peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in peers}

    assert callers("aries") == {"baile", "orion", "taurus"}
    assert callers("argo") == {"baile", "orion", "pegasus", "taurus", "worker"}
    assert policies["orion"]["spec"]["ingress"] == []
    assert policies["worker"]["spec"]["ingress"] == []
    assert "from" not in policies["baile"]["spec"]["ingress"][0]
    for name, policy in policies.items():
        assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}, name


def test_metrics_are_announced_and_reached_from_prometheus_alone(documents: list[dict[str, Any]], helm: Path) -> None:
    found = by_kind(documents)
    for name, workload in (found["Deployment"] | found["DaemonSet"]).items():
        template = workload["spec"]["template"]
        (container,) = template["spec"]["containers"]
        port = "9090" if name == "baile" else "8080"
        assert template["metadata"]["annotations"]["prometheus.io/port"] == port, name
        assert int(port) in [one["containerPort"] for one in container["ports"]], name
        told = {one["name"]: one["value"] for one in container["env"]}
        assert told.get("STUDIO9_BAILE_METRICS_PORT") == ("9090" if name == "baile" else None)
    assert [port["port"] for port in found["Service"]["baile"]["spec"]["ports"]] == [8080]
    options = ["--kube-version", f"{KUBERNETES}.0", "--set", "metrics.namespace=monitoring"]
    rendered = run(helm, "template", "s9", str(CHART), *options)
    policies = by_kind([document for document in yaml.safe_load_all(rendered) if document])["NetworkPolicy"]
    for name, policy in policies.items():
        rule = policy["spec"]["ingress"][-1]
        assert rule["ports"][0]["port"] == ("metrics" if name == "baile" else "http")
        (peer,) = rule["from"]
        assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}


@pytest.mark.parametrize("service", sorted(SERVICES | {"worker"}))
def test_a_service_is_told_the_addresses_that_it_calls_and_no_others(
    documents: list[dict[str, Any]], service: str
) -> None:
    workloads = by_kind(documents)
    (container,) = (workloads["Deployment"] | workloads["DaemonSet"])[service]["spec"]["template"]["spec"]["containers"]
    told = {variable["name"] for variable in container["env"]} & {"STUDIO9_ARIES_URL", "STUDIO9_ARGO_URL"}
    main = (root() / "services" / service / f"studio9_{service}" / "__main__.py").read_text()
    assert told == {f"STUDIO9_{name.upper()}_URL" for name in ("aries", "argo") if f"settings.{name}_url" in main}


@pytest.mark.parametrize("service", sorted(SERVICES | {"worker"}))
def test_every_setting_is_one_that_the_service_knows(documents: list[dict[str, Any]], service: str) -> None:
    workloads = by_kind(documents)
    (container,) = (workloads["Deployment"] | workloads["DaemonSet"])[service]["spec"]["template"]["spec"]["containers"]
    settings = getattr(importlib.import_module(f"studio9_{service}.settings"), f"{service.capitalize()}Settings")
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    for name in environment:
        short = {name.removeprefix(f"STUDIO9_{service.upper()}_").lower(), name.removeprefix("STUDIO9_").lower()}
        assert short & set(settings.model_fields), f"{service} does not know {name}"
    settings.load(environment=environment)


def test_selectors_match_their_pods(documents: list[dict[str, Any]]) -> None:
    found = by_kind(documents)
    for name, workload in (found["Deployment"] | found["DaemonSet"]).items():
        labels = workload["spec"]["template"]["metadata"]["labels"].items()
        selectors = [
            workload["spec"]["selector"]["matchLabels"],
            found["PodDisruptionBudget"][name]["spec"]["selector"]["matchLabels"],
            found["NetworkPolicy"][name]["spec"]["podSelector"]["matchLabels"],
        ]
        assert all(selector.items() <= labels for selector in selectors), name


def test_the_prometheus_operator_finds_every_pod_where_it_is_wanted(
    documents: list[dict[str, Any]], helm: Path
) -> None:
    assert "PodMonitor" not in by_kind(documents)
    options = ["--kube-version", f"{KUBERNETES}.0", "--set", "metrics.monitors=true,metrics.monitorLabels.release=prom"]
    rendered = run(helm, "template", "s9", str(CHART), *options)
    found = by_kind([document for document in yaml.safe_load_all(rendered) if document])
    workloads = found["Deployment"] | found["DaemonSet"]
    assert found["PodMonitor"].keys() == workloads.keys()
    for name, monitor in found["PodMonitor"].items():
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        template = workloads[name]["spec"]["template"]
        (container,) = template["spec"]["containers"]
        ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
        assert ports[endpoint["port"]] == template["metadata"]["annotations"]["prometheus.io/port"], name
        assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert monitor["metadata"]["labels"]["release"] == "prom"
