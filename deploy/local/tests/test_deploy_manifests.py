"""The manifests of deploy/k8s: valid, hardened, and in step with the services' settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from cryptography.fernet import Fernet

from mts_common.settings import Settings
from mts_gateway.runtime import DRAIN_SECONDS
from mts_stack.configuration import SETTINGS, required, variable
from mts_stack.manifests import ManifestFault, Resource, containers, pod_specs, render
from mts_stack.paths import ROOT

K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("local", "production")
KUBERNETES = "1.31"
CUSTOM = {"rabbitmq.com", "postgresql.cnpg.io", "barmancloud.cnpg.io", "keda.sh", "monitoring.coreos.com"}


@pytest.fixture(scope="module", params=OVERLAYS)
def resources(request: pytest.FixtureRequest) -> list[Resource]:
    return render(K8S / "overlays" / request.param)


def _named(resources: list[Resource], kind: str, name: str) -> Resource:
    (found,) = [each for each in resources if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def _of_kind(resources: list[Resource], *kinds: str) -> list[Resource]:
    return [each for each in resources if each["kind"] in kinds]


def _is_custom(resource: Resource) -> bool:
    return resource["apiVersion"].partition("/")[0] in CUSTOM


def test_every_overlay_is_tested() -> None:
    assert {folder.name for folder in (K8S / "overlays").iterdir()} == set(OVERLAYS)


def test_resources_are_valid_by_kubernetes_schemas(resources: list[Resource]) -> None:
    for resource in resources:
        if not _is_custom(resource):
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def test_custom_resources_are_valid_by_their_operators_schemas(resources: list[Resource]) -> None:
    known = yaml.safe_load((K8S / "crd-schemas.yaml").read_text("utf-8"))
    custom = [resource for resource in resources if _is_custom(resource)]
    assert {resource["kind"] for resource in custom} >= {
        "RabbitmqCluster",
        "Cluster",
        "ScaledObject",
        "ServiceMonitor",
        "PrometheusRule",
    }
    for resource in custom:
        assert resource.keys() == {"apiVersion", "kind", "metadata", "spec"}
        jsonschema.Draft202012Validator(known[f"{resource['apiVersion']}/{resource['kind']}"]).validate(
            resource["spec"]
        )


def test_a_misspelt_field_of_a_custom_resource_is_found(resources: list[Resource]) -> None:
    known = yaml.safe_load((K8S / "crd-schemas.yaml").read_text("utf-8"))
    schema = known["rabbitmq.com/v1beta1/RabbitmqCluster"]
    broker = _named(resources, "RabbitmqCluster", "mts-rabbitmq")
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        jsonschema.Draft202012Validator(schema).validate({**broker["spec"], "replica": 3})


def test_no_secret_is_committed(resources: list[Resource]) -> None:
    assert _of_kind(resources, "Secret") == []


def test_names_are_not_taken_twice(resources: list[Resource]) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in resources]
    assert len(names) == len(set(names))


# Settings


def _service_of(container: Mapping[str, Any]) -> str | None:
    """The service whose image the container runs, if it reads settings of ours."""
    found = re.search(r"mts[-/]([a-z]+):", container["image"])
    return found[1] if found and found[1] in SETTINGS else None


def _environment(resources: list[Resource], container: Mapping[str, Any]) -> dict[str, str]:
    """What the container is told; `secret` stands for what a Secret holds, and is a Fernet key for the meter keys."""
    environment: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        environment |= _named(resources, "ConfigMap", source["configMapRef"]["name"])["data"]
    for entry in container.get("env", ()):
        plain = Fernet.generate_key().decode() if entry["name"] == "MTS_METER_KEYS" else "secret"
        value = entry.get("value", plain)
        environment[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], value)
    return environment


def _told(resources: list[Resource]) -> list[tuple[str, str, dict[str, str]]]:
    """For each container of ours: resource, service, environment."""
    return [
        (resource["metadata"]["name"], service, _environment(resources, container))
        for resource in resources
        for container in containers(resource)
        if (service := _service_of(container))
    ]


def test_every_setting_in_a_manifest_exists_in_the_service(resources: list[Resource]) -> None:
    told = _told(resources)
    assert len(told) == 8  # five workloads and three migrations
    for name, service, environment in told:
        known = {variable(field) for field in SETTINGS[service].model_fields}
        unknown = {given for given in environment if given.startswith("MTS_")} - known
        assert not unknown, f"{name}: {unknown}"


def test_every_setting_a_service_requires_is_in_its_manifest(resources: list[Resource]) -> None:
    for name, service, environment in _told(resources):
        assert required(SETTINGS[service]) <= environment.keys(), name


def _load(service: str, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    with monkeypatch.context() as patched:
        for field in SETTINGS[service].model_fields:
            patched.delenv(variable(field), raising=False)
        for given, value in environment.items():
            patched.setenv(given, value)
        return SETTINGS[service]()


def test_services_take_the_values_they_are_given(resources: list[Resource], monkeypatch: pytest.MonkeyPatch) -> None:
    for _, service, environment in _told(resources):
        assert _load(service, environment, monkeypatch).amqp_url.get_secret_value().startswith("amqp://")


def test_gateway_and_results_keep_tests_equally_long_and_jobs_longer(resources: list[Resource]) -> None:
    data = {
        name: _named(resources, "ConfigMap", f"{name}-settings")["data"] for name in ("gateway", "results", "scheduler")
    }
    assert data["gateway"]["MTS_KEEP_DAYS"] == data["results"]["MTS_KEEP_DAYS"]
    assert int(data["scheduler"]["MTS_JOB_KEEP_DAYS"]) > int(data["results"]["MTS_KEEP_DAYS"])


# Pods


def test_pods_are_restricted(resources: list[Resource]) -> None:
    workloads = _of_kind(resources, "Deployment", "StatefulSet", "Job")
    assert len(workloads) >= 9
    for resource in workloads:
        (pod,) = pod_specs(resource)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not any("hostPath" in volume for volume in pod.get("volumes", ()))


def test_containers_are_restricted_and_bounded(resources: list[Resource]) -> None:
    for container in (each for resource in resources for each in containers(resource)):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert ":" in container["image"], "an image without a tag is whatever it happens to be"


def test_service_accounts_have_no_token_and_exist(resources: list[Resource]) -> None:
    accounts = _of_kind(resources, "ServiceAccount")
    assert all(account["automountServiceAccountToken"] is False for account in accounts)
    used = {pod["serviceAccountName"] for each in resources for pod in pod_specs(each) if "serviceAccountName" in pod}
    assert used == {account["metadata"]["name"] for account in accounts}


def test_services_are_probed_at_their_health_endpoints(resources: list[Resource]) -> None:
    for resource in _of_kind(resources, "Deployment", "StatefulSet"):
        for container in containers(resource):
            if _service_of(container) is None:
                continue
            ports = {port["name"] for port in container["ports"]}
            for probe, path in (("liveness", "live"), ("startup", "live"), ("readiness", "ready")):
                get = container[f"{probe}Probe"]["httpGet"]
                assert get["path"] == f"/health/{path}"
                assert get["port"] in ports


def test_the_ports_are_those_the_services_listen_on(resources: list[Resource]) -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    assert "MTS_HEALTH_PORT=8081" in dockerfile
    for name, kind in (("scheduler", "Deployment"), ("dialler-tcp", "Deployment"), ("dialler-modem", "StatefulSet")):
        (container,) = containers(_named(resources, kind, name))
        assert container["ports"] == [{"name": "health", "containerPort": 8081}]
    (gateway,) = containers(_named(resources, "Deployment", "gateway"))
    assert _environment(resources, gateway)["MTS_HTTP_PORT"] == str(gateway["ports"][0]["containerPort"])


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "dialler-tcp"), ("StatefulSet", "dialler-modem")])
def test_a_dialler_has_time_to_drain(
    resources: list[Resource], monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    workload = _named(resources, kind, name)
    (pod,) = pod_specs(workload)
    settings = _load("dialler", _environment(resources, pod["containers"][0]), monkeypatch).model_dump()
    assert pod["terminationGracePeriodSeconds"] > settings["drain_seconds"] + settings["give_back_seconds"] + 15


def test_a_gateway_has_time_to_answer_what_is_under_way(resources: list[Resource]) -> None:
    (pod,) = pod_specs(_named(resources, "Deployment", "gateway"))
    pause = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + DRAIN_SECONDS + 10


def test_selectors_find_their_pods(resources: list[Resource]) -> None:
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in resources if list(pod_specs(each))]
    selectors = [
        *(each["spec"]["selector"] for each in _of_kind(resources, "Service")),
        *(each["spec"]["selector"]["matchLabels"] for each in _of_kind(resources, "PodDisruptionBudget", "Deployment")),
    ]
    for selector in selectors:
        assert any(selector.items() <= labels.items() for labels in pods), selector


def test_every_service_has_a_disruption_budget_and_is_spread(resources: list[Resource]) -> None:
    budgets = {each["metadata"]["name"] for each in _of_kind(resources, "PodDisruptionBudget")}
    ours = {
        each["metadata"]["name"]
        for each in _of_kind(resources, "Deployment", "StatefulSet")
        if each["metadata"]["name"] != "metersim"
    }
    assert budgets == ours == {"gateway", "scheduler", "results", "dialler-tcp", "dialler-modem"}
    for resource in _of_kind(resources, "Deployment", "StatefulSet"):
        if resource["metadata"]["name"] in ours:
            (pod,) = pod_specs(resource)
            spread = {constraint["topologyKey"] for constraint in pod["topologySpreadConstraints"]}
            assert spread == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


def test_what_is_scaled_exists_and_sets_no_number_of_its_own(resources: list[Resource]) -> None:
    for scaler in _of_kind(resources, "HorizontalPodAutoscaler", "ScaledObject"):
        target = _named(resources, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"]


def test_modem_banks_run_where_the_modems_are(resources: list[Resource]) -> None:
    bank = _named(resources, "StatefulSet", "dialler-modem")
    (pod,) = pod_specs(bank)
    assert pod["nodeSelector"] == {"mts.example/modem-bank": "true"}
    assert pod["containers"][0]["resources"]["limits"]["mts.example/modem-bank"] == 1
    environment = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
    assert environment["MTS_LINES_FILE"] == "/etc/mts/lines/$(NODE_NAME).toml"
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == str(Path(environment["MTS_LINES_FILE"]).parent)


# Networks


def _egress(resources: list[Resource], name: str) -> list[dict[str, Any]]:
    """All that policies let the pods of that name reach."""
    (labels,) = [
        each["spec"]["template"]["metadata"]["labels"]
        for each in _of_kind(resources, "Deployment", "StatefulSet")
        if each["metadata"]["name"] == name
    ]
    return [
        rule
        for policy in _of_kind(resources, "NetworkPolicy")
        if _matches(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get("egress", ())
    ]


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    expressions = selector.get("matchExpressions", ())
    assert all(expression["operator"] == "In" for expression in expressions)
    return wanted.items() <= labels.items() and all(labels.get(each["key"]) in each["values"] for each in expressions)


def test_nothing_is_allowed_that_is_not_named(resources: list[Resource]) -> None:
    deny = _named(resources, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_diallers_reach_names_the_broker_and_meters_alone(resources: list[Resource]) -> None:
    assert [_destination(rule) for rule in _egress(resources, "dialler-modem")] == ["kube-dns", "mts-rabbitmq"]
    allowed = _named(resources, "ConfigMap", "dialler-tcp-settings")["data"]["MTS_ALLOW_NETWORKS"]
    reached = [_destination(rule) for rule in _egress(resources, "dialler-tcp")]
    assert reached == ["kube-dns", "mts-rabbitmq", *allowed.split(",")]


def test_gateways_reach_no_meter(resources: list[Resource]) -> None:
    assert {_destination(rule) for rule in _egress(resources, "gateway")} - {"observability"} == {
        "kube-dns",
        "mts-rabbitmq",
        "mts-postgres",
    }


def _destination(rule: Mapping[str, Any]) -> str:
    (peer,) = rule["to"]
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    selector = peer.get("podSelector") or peer["namespaceSelector"]
    (name,) = selector["matchLabels"].values()
    return str(name)


def test_no_dialler_is_told_of_the_database(resources: list[Resource]) -> None:
    for name, service, environment in _told(resources):
        if service == "dialler":
            assert not {given for given in environment if "POSTGRES" in given or "DATABASE" in given}, name


# Metrics


def test_diallers_are_scaled_by_the_lines_that_each_has(resources: list[Resource]) -> None:
    spec = _named(resources, "ScaledObject", "dialler-tcp")["spec"]
    (trigger,) = spec["triggers"]
    lines = _named(resources, "ConfigMap", "dialler-tcp-settings")["data"]["MTS_DIALLER_LINES"]
    assert trigger["metadata"]["threshold"] == lines
    assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]


def test_every_pod_of_ours_is_scraped_at_its_health_port_and_no_other_port_is_open_for_it(
    resources: list[Resource],
) -> None:
    service = _named(resources, "Service", "metrics")
    monitor = _named(resources, "ServiceMonitor", "mts")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,), (port,) = monitor["endpoints"], service["spec"]["ports"]
    assert (endpoint["path"], endpoint["port"], port["targetPort"]) == ("/metrics", port["name"], "health")
    (rule,) = _named(resources, "NetworkPolicy", "scraped")["spec"]["ingress"]
    open_ports = {each["port"] for each in rule["ports"]}
    scraped = set()
    for resource in _of_kind(resources, "Deployment", "StatefulSet"):
        template = resource["spec"]["template"]
        labels = template["metadata"]["labels"]
        (container,) = template["spec"]["containers"]
        if _service_of(container) is None:
            continue
        scraped.add(resource["metadata"]["name"])
        assert service["spec"]["selector"].items() <= labels.items()
        assert _matches(_named(resources, "NetworkPolicy", "scraped")["spec"]["podSelector"], labels)
        assert {p["name"]: p["containerPort"] for p in container["ports"]}["health"] in open_ports
    assert scraped == {"gateway", "scheduler", "results", "dialler-tcp", "dialler-modem"}


def test_grafana_finds_every_dashboard(resources: list[Resource]) -> None:
    dashboards = _named(resources, "ConfigMap", "grafana-dashboards")
    assert dashboards["metadata"]["labels"] == {"grafana_dashboard": "1"}
    committed = (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    assert dashboards["data"] == {file.name: file.read_text("utf-8") for file in committed}


# The renderer


def test_a_field_that_is_not_known_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("commonLabels: {a: b}\n", "utf-8")
    with pytest.raises(ManifestFault, match="commonLabels"):
        render(tmp_path)


def test_a_patch_of_nothing_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("patches: [{target: {kind: Job, name: a}, patch: '[]'}]\n", "utf-8")
    with pytest.raises(ManifestFault, match="nothing is Job a"):
        render(tmp_path)
