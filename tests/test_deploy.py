"""The files in deploy/: manifests checked with Kubernetes' schemas, scripts, the Dockerfile."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys

import jsonschema
import manifest_schemas
import pytest
import yaml
from manifest_schemas import DEPLOY, ROOT, TYPES

from darts_tf.cli import arguments
from darts_tf.configs import SearchConfig
from darts_tf.runs import files as run_files

KINDS = {
    "TFJob": "TFJob",
    "JobSet": "JobSet",
    "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
}
MANIFESTS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in DEPLOY.glob("*.yaml")
}
TEMPLATES = {
    "tfjob": "spec/tfReplicaSpecs/Worker/template/spec",
    "jobset": "spec/replicatedJobs/0/template/spec/template/spec",
}
"""Paths of the workers' pods in a manifest."""


def at(manifest, path):
    """Returns the value at a path such as `spec/containers/0`."""
    for word in path.split("/"):
        manifest = manifest[int(word) if isinstance(manifest, list) else word]
    return manifest


def check(manifest) -> None:
    """Checks a manifest with the schema of its kind."""
    manifest_schemas.check(manifest, KINDS[manifest["kind"]])


def pod(name):
    return at(MANIFESTS[name], TEMPLATES[name])


def container(name):
    (only,) = pod(name)["containers"]
    return only


# Manifests


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_fits_its_schema(name):
    check(MANIFESTS[name])


def test_schemas_refer_to_types_that_are_there():
    for name, schema in TYPES.items():
        for missing in set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(schema))) - set(TYPES):
            pytest.fail(f"{name} refers to {missing}")


@pytest.mark.parametrize(
    ("name", "path", "right", "wrong"),
    [
        ("tfjob", "", "spec", "specs"),
        ("tfjob", "spec", "tfReplicaSpecs", "tfReplicasSpecs"),
        ("tfjob", "spec/runPolicy", "cleanPodPolicy", "cleanPodPolcy"),
        ("tfjob", "spec/tfReplicaSpecs/Worker", "replicas", "replica"),
        ("jobset", "spec", "failurePolicy", "failurePolicies"),
        ("jobset", "spec/network", "enableDNSHostnames", "enableDnsHostnames"),
        ("jobset", "spec/failurePolicy/rules/0", "action", "actions"),
        ("jobset", "spec/replicatedJobs/0/template/spec", "completionMode", "completionmode"),
        ("volume", "spec", "accessModes", "accessMode"),
        *(
            (name, TEMPLATES[name] + path, right, wrong)
            for name in TEMPLATES
            for path, right, wrong in (
                ("", "terminationGracePeriodSeconds", "terminationGracePeriod"),
                ("/securityContext", "runAsNonRoot", "runAsNonroot"),
                ("/containers/0", "name", "nam"),
                ("/containers/0", "volumeMounts", "volumeMount"),
                ("/containers/0/resources", "limits", "limit"),
                ("/volumes/0/persistentVolumeClaim", "claimName", "claim"),
            )
        ),
    ],
)
def test_misspelt_field_is_refused(name, path, right, wrong):
    manifest = copy.deepcopy(MANIFESTS[name])
    parent = at(manifest, path) if path else manifest
    parent[wrong] = parent.pop(right)
    with pytest.raises(jsonschema.ValidationError, match=f"'({wrong}|{right})'"):
        check(manifest)


@pytest.mark.parametrize(
    ("name", "path", "field", "value"),
    [
        ("tfjob", "spec/tfReplicaSpecs/Worker", "replicas", "4"),
        ("tfjob", "", "apiVersion", "kubeflow.org/v2"),
        ("jobset", "spec/failurePolicy", "maxRestarts", "10"),
        ("jobset", f"{TEMPLATES['jobset']}/containers/0/env/1", "value", 4),
        ("tfjob", f"{TEMPLATES['tfjob']}/containers/0", "command", "sh -c"),
    ],
)
def test_value_of_another_type_is_refused(name, path, field, value):
    manifest = copy.deepcopy(MANIFESTS[name])
    (at(manifest, path) if path else manifest)[field] = value
    with pytest.raises(jsonschema.ValidationError):
        check(manifest)


@pytest.mark.parametrize("name", TEMPLATES)
def test_run_folder_is_on_the_shared_volume(name):
    (volume,), (mount,) = pod(name)["volumes"], container(name)["volumeMounts"]
    claim = MANIFESTS["volume"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert volume["name"] == mount["name"]
    assert environment(name)["WORKDIR"].startswith(mount["mountPath"] + "/")


@pytest.mark.parametrize("name", TEMPLATES)
def test_pods_have_a_gpu_time_to_end_and_the_images_user(name):
    assert container(name)["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod(name)["terminationGracePeriodSeconds"] == 120
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.M)[1]
    assert pod(name)["securityContext"]["runAsUser"] == int(user)


def test_tfjob_has_workers_alone_and_the_operators_container_name():
    assert list(MANIFESTS["tfjob"]["spec"]["tfReplicaSpecs"]) == ["Worker"]
    assert MANIFESTS["tfjob"]["spec"]["tfReplicaSpecs"]["Worker"]["restartPolicy"] == "OnFailure"
    assert container("tfjob")["name"] == "tensorflow"


def test_jobset_says_the_number_of_workers_three_times():
    job = at(MANIFESTS["jobset"], "spec/replicatedJobs/0/template/spec")
    assert job["completionMode"] == "Indexed"
    assert str(job["completions"]) == str(job["parallelism"]) == environment("jobset")["WORKERS"]


def test_jobset_gives_up_on_wrong_use():
    job = at(MANIFESTS["jobset"], "spec/replicatedJobs/0/template/spec")
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [2]
    assert rule["onExitCodes"]["containerName"] == container("jobset")["name"]
    assert pod("jobset")["restartPolicy"] == "Never"  # required by podFailurePolicy


# Commands of containers


def environment(name):
    """Returns the variables that a container gets, without those of Kubernetes itself."""
    return {item["name"]: item["value"] for item in container(name)["env"] if "value" in item}


def ran(name, folder, **variables):
    """Runs a container's script; returns the arguments of `darts-tf`, and its TF_CONFIG."""
    program = folder / "bin" / "darts-tf"
    program.parent.mkdir(exist_ok=True)
    said = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('TF_CONFIG')]))"
    program.write_text(f"#!{sys.executable}\n{said}\n", encoding="utf-8")
    program.chmod(0o755)
    done = subprocess.run(
        [*container(name)["command"], *container(name)["args"]],
        env={
            **environment(name),
            **{"WORKDIR": str(folder), "PATH": f"{program.parent}{os.pathsep}{os.defpath}"},
            **{"JOBSET": "my-search", "JOB_COMPLETION_INDEX": "0", **variables},
        },
        **{"capture_output": True, "text": True, "check": True, "timeout": 20},
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", TEMPLATES)
def test_words_are_understood_and_a_run_is_resumed(name, tmp_path):
    for begun in (False, True):
        (program, *words), _ = ran(name, tmp_path)
        config = arguments.parse(SearchConfig, words, "darts-tf search")
        assert program == "search"
        assert (config.workdir, config.resume) == (tmp_path, begun)
        assert config.strategy == "auto"
        run_files.write_json(tmp_path / run_files.CONFIG, config.to_dict())


@pytest.mark.parametrize("workers", [1, 4, 11])
def test_jobset_makes_tf_config_of_its_pods_names(tmp_path, workers):
    clusters = set()
    for index in sorted({0, workers // 2, workers - 1}):
        counts = {"WORKERS": str(workers), "JOB_COMPLETION_INDEX": str(index)}
        _, text = ran("jobset", tmp_path, **counts)
        known = json.loads(text)
        assert known["task"] == {"type": "worker", "index": index}
        clusters.add(json.dumps(known["cluster"]))
    (job,) = MANIFESTS["jobset"]["spec"]["replicatedJobs"]
    # the pods' names: JobSet, replicated job, job, pod; the headless service is named as the JobSet
    hosts = [f"my-search-{job['name']}-0-{pod}.my-search:2222" for pod in range(workers)]
    assert [json.loads(cluster) for cluster in clusters] == [{"worker": hosts}]


@pytest.mark.parametrize("name", TEMPLATES)
def test_kubernetes_replaces_nothing_in_the_script(name):
    (script,) = container(name)["args"]
    assert "$$" not in script
    assert not re.search(r"\$\(\w", script)


def test_darts_tf_takes_the_shells_place():
    """Otherwise only the shell would receive SIGTERM, and no checkpoint would be saved."""
    for name in TEMPLATES:
        (script,) = container(name)["args"]
        assert script.splitlines()[-1].startswith("exec darts-tf ")


# The image

DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def copied():
    """Returns the paths that the Dockerfile copies from the repository."""
    for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M):
        yield from line.split()[:-1]


def test_dockerfile_copies_what_is_there_and_what_the_package_needs():
    assert all((ROOT / path).exists() for path in copied())
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    needed = {"setup.py", "pyproject.toml", "README.md", "LICENSE", *packages}
    assert set(copied()) == needed - {"tests", "benchmarks"}


def test_readme_names_every_file():
    told = (DEPLOY / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in DEPLOY.iterdir()}
    assert files - {"README.md"} <= set(re.findall(r"^\| `([\w.]+)`", told, re.M))
    assert set(re.findall(r"deploy/([\w.]+\w)", told)) <= files
