#!/usr/bin/env python3
"""Checks the Helm chart, the Compose file and the Containerfile, without a cluster or a container engine.

    python3 -m venv target/lint && target/lint/bin/pip install -r packaging/requirements.txt
    target/lint/bin/python packaging/lint.py
"""

import subprocess
import sys
from pathlib import Path

import compose_spec
import helm_python as helm
import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
CHART = HERE / "helm" / "portcullis"
KUBERNETES = "1.30"

POSTGRES = {
    "ledger": {
        "kind": "postgres",
        "postgres": {
            "url": "postgres://portcullis@db/portcullis?sslmode=verify-full",
            "passwordSecret": {"name": "database", "key": "password"},
            "authoritiesSecret": {"name": "authorities", "key": "ca.crt"},
        },
    },
    "masterKeySecret": {"name": "key", "key": "master-key"},
    "adminTokenSecret": {"name": "admin", "key": "token"},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "config": '[[tenants]]\nid = "acme"\n',
}
COMMON = {"NetworkPolicy", "Secret", "Service", "ServiceAccount"}
KINDS = {
    "with SQLite": ({}, COMMON | {"StatefulSet"}),
    "with PostgreSQL": (
        POSTGRES,
        COMMON | {"Deployment", "PodDisruptionBudget", "PrometheusRule", "ServiceMonitor"},
    ),
}
# What would be found out by a pod that does not start.
WRONG = {
    "a database without a URL": {**POSTGRES, "ledger": {"kind": "postgres"}},
    "gateways that would each make a key": {**POSTGRES, "masterKeySecret": {"name": "", "key": "key"}},
    "two gateways that make one ledger": {**POSTGRES, "newLedger": True, "replicaCount": 2},
    "a store that there is not": {"ledger": {"kind": "mysql"}},
    "a password in the URL": {
        **POSTGRES,
        "ledger": {"kind": "postgres", "postgres": {"url": "postgres://portcullis:secret@db/portcullis"}},
    },
    "metrics without a token": {"serviceMonitor": {"enabled": True}},
}

passed = 0


def ok(what: str) -> None:
    global passed
    passed += 1
    print(f"ok   {what}")


def fail(what: str) -> None:
    sys.exit(f"FAIL {what}")


def rendered(values: dict) -> dict[str, list[dict]]:
    """The manifests of the chart, by kind."""
    manifests: dict[str, list[dict]] = {}
    files = helm.Chart.load(CHART).render(values=values, name="gate")
    for name, text in files.items():
        if name.endswith(".txt"):
            continue
        for manifest in filter(None, yaml.safe_load_all(text)):
            manifests.setdefault(manifest["kind"], []).append(manifest)
    return manifests


def chart() -> None:
    for name, (values, expected) in KINDS.items():
        messages = helm.lint(CHART, values=values)
        if messages["errors"] or any(message["severity"] > 1 for message in messages["messages"]):
            fail(f"the chart {name}: {messages}")
        ok(f"the chart {name}: helm {helm.helm_sdk_version()} has no complaint")
        manifests = rendered(values)
        if set(manifests) != expected:
            fail(f"the chart {name} has {sorted(manifests)}, not {sorted(expected)}")
        for kind in manifests.values():
            for manifest in kind:
                # Those of Prometheus's operator are not Kubernetes's own.
                if "monitoring.coreos.com" not in manifest["apiVersion"]:
                    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        ok(f"the chart {name}: manifests as Kubernetes {KUBERNETES} has them")
        pod = (manifests.get("StatefulSet") or manifests["Deployment"])[0]["spec"]["template"]["spec"]
        if pod["terminationGracePeriodSeconds"] != 10 + 40 + 20:
            fail("a pod has to get its lame duck time, its grace and 20 seconds")
        if pod["securityContext"]["fsGroupChangePolicy"] != "OnRootMismatch":
            fail("Kubernetes would let the group read the master key")
        ok(f"the chart {name}: pods have the time that they need to end")
    for what, values in WRONG.items():
        try:
            rendered(values)
        except helm.HelmError:
            ok(f"refused: {what}")
        else:
            fail(f"the chart takes {what}")


def container() -> None:
    folder = HERE / "container"
    compose = compose_spec.PyCompose.from_yaml((folder / "compose.yaml").read_text())
    compose.validate()
    ok(f"compose.yaml: {', '.join(compose.service_names())}")
    hadolint = Path(sys.executable).with_name("hadolint")
    if subprocess.run([hadolint, folder / "Containerfile"], check=False).returncode != 0:
        fail("Containerfile")
    ok("Containerfile: hadolint has no complaint")


chart()
container()
print(f"{passed} passed, 0 failed")
