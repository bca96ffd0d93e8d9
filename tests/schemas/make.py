"""Makes the schemas of this folder anew from four packages of the package index (see README.md).

python -m venv /tmp/schemas
/tmp/schemas/bin/pip install pydantic
/tmp/schemas/bin/pip install --no-deps \
    kubernetes-validate==1.37.0 kubeflow-trainer-api==2.3.0 kubeflow-training==1.9.4 \
    docker-compose==1.29.2
/tmp/schemas/bin/python tests/schemas/make.py
"""

from __future__ import annotations

import importlib.util
import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent
REF = "#/$defs/"
CORE = {
    "V1PodTemplateSpec": "io.k8s.api.core.v1.PodTemplateSpec",
    "V1ObjectMeta": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    "Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "IoK8sApiBatchV1JobTemplateSpec": "io.k8s.api.batch.v1.JobTemplateSpec",
    "IoK8sApiCoreV1PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "IoK8sApimachineryPkgApisMetaV1ObjectMeta": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
}
"""Kubernetes' own types by the names that the two clients give them."""
SERVING = (
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.Service",
)
"""Those that no client has to give a name to."""


def kubernetes():
    """The types of Kubernetes 1.29 that the manifests reach, unknown fields forbidden."""
    path = "kubernetes-json-schema/v1.29.0-local-strict/_definitions.json"
    known = json.loads((package("kubernetes_validate") / path).read_text())["$defs"]
    return reached(known, [*CORE.values(), *SERVING])


def jobset():
    """The types of a JobSet, from the models of a client."""
    from kubeflow_trainer_api.models.jobset_v1alpha2_job_set import JobsetV1alpha2JobSet

    root = JobsetV1alpha2JobSet.model_json_schema(by_alias=True, ref_template=REF + "{model}")
    known = {**root.pop("$defs"), "JobSet": root}
    for name, schema in known.items():
        known[name] = json.loads(renamed(json.dumps({**schema, "additionalProperties": False})))
    known["JobSet"] = begun(known["JobSet"], "jobset.x-k8s.io/v1alpha2", "JobSet")
    return reached({**known, **dict.fromkeys(CORE.values())}, ("JobSet",))


def compose():
    """A compose file, which refers to its own definitions as the others' types do."""
    known = json.loads((package("compose") / "config/compose_spec.json").read_text())
    definitions = {f"compose.{name}": schema for name, schema in known.pop("definitions").items()}
    types = json.dumps(
        {**definitions, "Compose": {k: v for k, v in known.items() if k != "$schema"}}
    )
    types = re.sub(r'"(\$?)id": "[^"]*", ', "", types).replace('"#/definitions/', f'"{REF}compose.')
    return reached(json.loads(types), ("Compose",))


def tfjob():
    """The types of a TFJob, from the types of a client's attributes."""
    known = {}
    for name in ("replica_spec", "run_policy", "scheduling_policy", "tf_job_spec", "tf_job"):
        path = package("kubeflow") / f"training/models/kubeflow_org_v1_{name}.py"
        source = path.read_text(encoding="utf-8")
        types, names = table(source, "openapi_types"), table(source, "attribute_map")
        fields = {names[field]: typed(kind) for field, kind in types.items()}
        schema = {"type": "object", "properties": fields, "additionalProperties": False}
        known[re.search(r"^class (\w+)", source, re.M)[1]] = schema
    known["KubeflowOrgV1TFJobSpec"]["required"] = ["tfReplicaSpecs"]
    known["TFJob"] = begun(known.pop("KubeflowOrgV1TFJob"), "kubeflow.org/v1", "TFJob")
    return known


def table(source, name):
    """A dict of texts in Python source."""
    return dict(
        re.findall(r"'(\w+)': '([^']+)'", re.search(rf"{name} = {{(.*?)}}", source, re.S)[1])
    )


def begun(schema, version, kind):
    """A manifest's schema with what every manifest begins with; its status is the server's."""
    fixed = {"apiVersion": {"const": version}, "kind": {"const": kind}}
    fields = {name: field for name, field in schema["properties"].items() if name != "status"}
    required = ["apiVersion", "kind", "metadata", "spec"]
    return {**schema, "properties": {**fields, **fixed}, "required": required}


def typed(kind):
    """A schema for one of the client's words for types, such as `dict(str, Quantity)`."""
    if inner := re.fullmatch(r"dict\(str, (\w+)\)", kind):
        return {"type": "object", "additionalProperties": typed(inner[1])}
    plain = {"str": "string", "int": "integer", "bool": "boolean"}
    return {"type": plain[kind]} if kind in plain else {"$ref": REF + CORE.get(kind, kind)}


def renamed(text):
    """Kubernetes' own types under their own names."""
    for theirs, name in CORE.items():
        text = text.replace(f'"{REF}{theirs}"', f'"{REF}{name}"')
    return text


def reached(known, roots):
    """The types that the roots are made of, without the texts about them."""
    found, open_ends = {}, list(roots)
    while open_ends:
        name = open_ends.pop()
        if name not in found and known[name] is not None:
            found[name] = stripped(known[name])
            open_ends += re.findall(rf'"{re.escape(REF)}([^"]+)"', json.dumps(found[name]))
    return found


def stripped(schema):
    """The same without descriptions, titles, and what only servers and clients use."""
    if isinstance(schema, list):
        return [stripped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: stripped(inner) for field, inner in value.items()}
        if name == "properties"
        else stripped(value)
        for name, value in schema.items()
        if name not in ("description", "title", "default") and not name.startswith("x-kubernetes")
    }


def package(name):
    """The folder of an installed package, without importing it."""
    return pathlib.Path(next(iter(importlib.util.find_spec(name).submodule_search_locations)))


def write(name, types):
    """A file with a type a line, sorted."""
    lines = (
        f" {json.dumps(key)}: {json.dumps(types[key], sort_keys=True)}" for key in sorted(types)
    )
    (FOLDER / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    for make in (kubernetes, jobset, tfjob, compose):
        write(f"{make.__name__}.json", make())
