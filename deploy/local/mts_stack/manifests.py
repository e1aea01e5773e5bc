"""What an overlay of deploy/k8s comes to, without kubectl: as much of kustomize as our files use, and no more.

A field that is not known here is a fault, so that nothing is rendered otherwise than kustomize would;
`deploy/check_manifests.py` compares the two where kubectl is installed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]

_FIELDS = {"apiVersion", "kind", "namespace", "resources", "configMapGenerator", "images", "patches"}
_CLUSTER_WIDE = {"Namespace"}


class ManifestFault(Exception):
    """A kustomization that this module cannot render."""


def render(folder: Path) -> list[Resource]:
    """The resources of the kustomization in `folder`. Generated ConfigMaps keep their names, without kustomize's hash.

    Raises `ManifestFault`, or OSError for a file that is missing.
    """
    described: Mapping[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    if unknown := described.keys() - _FIELDS:
        raise ManifestFault(f"{folder}: cannot render {', '.join(sorted(unknown))}")
    resources = [resource for entry in described.get("resources", ()) for resource in _load(folder / entry)]
    for generator in described.get("configMapGenerator", ()):
        _generate(folder, generator, resources)
    for patch in described.get("patches", ()):
        _patch(patch, resources)
    for image in described.get("images", ()):
        _rename(image, resources)
    if "namespace" in described:
        for resource in resources:
            if resource["kind"] not in _CLUSTER_WIDE:
                resource["metadata"]["namespace"] = described["namespace"]
    return resources


def pod_specs(resource: Resource) -> Iterator[dict[str, Any]]:
    """The pod that a workload makes, if the resource is one."""
    if resource["kind"] in {"Deployment", "StatefulSet", "Job"}:
        yield resource["spec"]["template"]["spec"]


def containers(resource: Resource) -> Iterator[dict[str, Any]]:
    """Every container of a workload, those that run first included."""
    for pod in pod_specs(resource):
        yield from pod.get("initContainers", ())
        yield from pod["containers"]


def _load(path: Path) -> list[Resource]:
    if path.is_dir():
        return render(path)
    # Aliases give several places one object, which a patch must not change together.
    return [copy.deepcopy(resource) for resource in yaml.safe_load_all(path.read_text("utf-8"))]


def _generate(folder: Path, generator: Mapping[str, Any], resources: list[Resource]) -> None:
    if unknown := generator.keys() - {"name", "behavior", "literals", "files", "options"}:
        raise ManifestFault(f"{folder}: cannot generate with {', '.join(sorted(unknown))}")
    data = dict(literal.split("=", 1) for literal in generator.get("literals", ()))
    data |= {name: (folder / name).read_text("utf-8") for name in generator.get("files", ())}
    if generator.get("behavior") == "merge":
        (merged,) = _chosen({"kind": "ConfigMap", "name": generator["name"]}, resources)
        merged["data"] |= data
    else:
        metadata = {"name": generator["name"]}
        options = generator.get("options", {})
        if unknown := options.keys() - {"disableNameSuffixHash", "labels"}:
            raise ManifestFault(f"{folder}: cannot generate with {', '.join(sorted(unknown))}")
        if "labels" in options:
            metadata["labels"] = options["labels"]
        resources.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _chosen(target: Mapping[str, str], resources: list[Resource]) -> list[Resource]:
    found = [
        resource
        for resource in resources
        if resource["kind"] == target["kind"] and target.get("name") in {None, resource["metadata"]["name"]}
    ]
    if not found:
        raise ManifestFault(f"nothing is {target['kind']} {target.get('name', '')}")
    return found


def _patch(patch: Mapping[str, Any], resources: list[Resource]) -> None:
    """JSON Patch (RFC 6902) with add, replace and remove."""
    for resource in _chosen(patch["target"], resources):
        for operation in yaml.safe_load(patch["patch"]):
            *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
            place: Any = resource
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
            key: Any = int(last) if isinstance(place, list) else last
            if operation["op"] != "add" and not isinstance(place, list) and key not in place:
                raise ManifestFault(f"there is no {operation['path']} to {operation['op']}")
            if operation["op"] == "remove":
                del place[key]
            else:
                place[key] = operation["value"]


def _rename(image: Mapping[str, str], resources: list[Resource]) -> None:
    for resource in resources:
        for container in containers(resource):
            if container["image"] == image["name"]:
                container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
