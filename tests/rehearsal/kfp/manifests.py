"""A kustomization with the object names, images, ports and Secrets of Kubeflow Pipelines, written from facts about it.

Used when the real manifests are not at hand. It has what the stand-in images need and what an overlay patches; it
is not upstream's text: permissions are those that the stand-ins use, texts and comments are missing.
"""

from __future__ import annotations

from typing import Any

import yaml

Json = dict[str, Any]

COMMON = {"application-crd-id": "kubeflow-pipelines"}
SETTINGS = {
    "appName": "pipeline", "autoUpdatePipelineDefaultVersion": "true", "bucketName": "mlpipeline", "cacheDb": "cachedb",
    "cacheImage": "gcr.io/google-containers/busybox", "cacheNodeRestrictions": "false", "ConMaxLifeTime": "120s",
    "cronScheduleTimezone": "UTC", "dbHost": "mysql", "dbPort": "3306", "DEFAULT_CACHE_STALENESS": "",
    "defaultPipelineRoot": "", "MAXIMUM_CACHE_STALENESS": "", "mlmdDb": "metadb", "pipelineDb": "mlpipeline",
}  # fmt: skip
ARGO_KINDS = {
    "clusterworkflowtemplates": "ClusterWorkflowTemplate", "cronworkflows": "CronWorkflow", "workflows": "Workflow",
    "workfloweventbindings": "WorkflowEventBinding", "workflowtaskresults": "WorkflowTaskResult",
    "workflowtasksets": "WorkflowTaskSet", "workflowtemplates": "WorkflowTemplate",
}  # fmt: skip
CRDS = [
    ("app.k8s.io", "applications", "Application", "v1beta1"),
    *(("argoproj.io", plural, kind, "v1alpha1") for plural, kind in ARGO_KINDS.items()),
    ("kubeflow.org", "scheduledworkflows", "ScheduledWorkflow", "v1beta1"),
    ("kubeflow.org", "viewers", "Viewer", "v1beta1"),
]
PODS = {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "delete"]}
WORKFLOWS = {
    "apiGroups": ["argoproj.io"], "resources": ["workflows"],
    "verbs": ["create", "get", "list", "watch", "update", "patch", "delete"],
}  # fmt: skip
ALL = ["create", "get", "list", "watch", "update", "patch", "delete"]
ROLES: dict[str, tuple[str, str, list[Json]]] = {
    # role: binding, account, rules
    "argo-role": ("argo-binding", "argo", [{**PODS, "resources": ["pods"], "verbs": ALL}, WORKFLOWS]),
    "kubeflow-pipelines-cache-deployer-role": (
        "kubeflow-pipelines-cache-deployer-rolebinding", "kubeflow-pipelines-cache-deployer-sa",
        [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete", "get", "patch", "list"]}],
    ),
    "kubeflow-pipelines-cache-role": ("kubeflow-pipelines-cache-binding", "kubeflow-pipelines-cache", [PODS]),
    "kubeflow-pipelines-metadata-writer-role": (
        "kubeflow-pipelines-metadata-writer-binding", "kubeflow-pipelines-metadata-writer", [PODS],
    ),
    "ml-pipeline": ("ml-pipeline", "ml-pipeline", [PODS, WORKFLOWS]),
    "ml-pipeline-persistenceagent-role": (
        "ml-pipeline-persistenceagent-binding", "ml-pipeline-persistenceagent", [WORKFLOWS],
    ),
    "ml-pipeline-scheduledworkflow-role": (
        "ml-pipeline-scheduledworkflow-binding", "ml-pipeline-scheduledworkflow", [WORKFLOWS],
    ),
    "ml-pipeline-ui": ("ml-pipeline-ui", "ml-pipeline-ui", [{**PODS, "verbs": ["get"]}]),
    "ml-pipeline-viewer-controller-role": (
        "ml-pipeline-viewer-crd-binding", "ml-pipeline-viewer-crd-service-account", [{**PODS, "verbs": ["get"]}],
    ),
    "pipeline-runner": (
        "pipeline-runner-binding", "pipeline-runner",
        [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods", "pods/exec", "pods/log", "services"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["*"]},
            WORKFLOWS,
        ],
    ),
}  # fmt: skip
MORE_ACCOUNTS = (
    "kubeflow-pipelines-container-builder", "kubeflow-pipelines-viewer", "metadata-grpc-server",
    "ml-pipeline-visualizationserver", "mysql",
)  # fmt: skip
# service: selector, port, target, name
SERVICES: dict[str, tuple[Json, list[tuple[str, int, int | str]]]] = {
    "cache-server": ({"app": "cache-server"}, [("", 443, "webhook-api")]),
    "metadata-envoy-service": ({"component": "metadata-envoy"}, [("md-envoy", 9090, 9090)]),
    "metadata-grpc-service": ({"component": "metadata-grpc-server"}, [("grpc-api", 8080, 8080)]),
    "minio-service": ({"app": "minio"}, [("http", 9000, 9000)]),
    "ml-pipeline": ({"app": "ml-pipeline"}, [("http", 8888, 8888), ("grpc", 8887, 8887)]),
    "ml-pipeline-ui": ({"app": "ml-pipeline-ui"}, [("http", 80, 3000)]),
    "ml-pipeline-visualizationserver": ({"app": "ml-pipeline-visualizationserver"}, [("http", 8888, 8888)]),
    "mysql": ({"app": "mysql"}, [("", 3306, 3306)]),
}
# What differs between the releases: names and tags of images.
IMAGES = {
    "2.0.0": {
        "prefix": "gcr.io/ml-pipeline/", "tag": ":2.0.0", "names": {},
        "mlmd": "gcr.io/tfx-oss-public/ml_metadata_store_server:1.5.0",
        "controller": "gcr.io/ml-pipeline/workflow-controller:v3.3.10-license-compliance",
        "executor": "gcr.io/ml-pipeline/argoexec:v3.3.10-license-compliance",
    },
    "2.5.0": {
        "prefix": "ghcr.io/kubeflow/kfp-", "tag": ":2.5.0",
        "names": {
            "persistenceagent": "persistence-agent", "scheduledworkflow": "scheduled-workflow-controller",
        },
        "mlmd": "gcr.io/tfx-oss-public/ml_metadata_store_server:1.14.0",
        "controller": "quay.io/argoproj/workflow-controller:v3.5.14",
        "executor": "quay.io/argoproj/argoexec:v3.5.14",
    },
}  # fmt: skip


def files(version: str) -> dict[str, str]:
    """Return the kustomization's files below ``manifests/kustomize``, path to text."""
    cluster = [_object("v1", "Namespace", "kubeflow"), *(_crd(*each) for each in CRDS), *_cluster_roles()]
    everything = [*_accounts(), *_settings(version), *_storage(), *_services(version), *_deployments(version)]
    return {
        "cluster-scoped-resources/kustomization.yaml": _yaml(
            {"resources": ["objects.yaml"], "namespace": "kubeflow"} | _kind()
        ),
        "cluster-scoped-resources/objects.yaml": yaml.safe_dump_all(cluster, sort_keys=False),
        "env/platform-agnostic/kustomization.yaml": _yaml(
            {"resources": ["objects.yaml"], "namespace": "kubeflow"}
            | {"labels": [{"pairs": COMMON, "includeSelectors": True}]}
            | _kind()
        ),
        "env/platform-agnostic/objects.yaml": yaml.safe_dump_all(everything, sort_keys=False),
    }


def _kind() -> Json:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def _yaml(document: Json) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def _object(api: str, kind: str, name: str, **more: Any) -> Json:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **more}


def _crd(group: str, plural: str, kind: str, version: str) -> Json:
    scope = "Cluster" if plural.startswith("cluster") else "Namespaced"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    name = f"{plural}.{group}"
    made = _object("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
    if group.endswith("k8s.io"):
        made["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a rehearsal"}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    made["spec"] = {"group": group, "names": names, "scope": scope, "versions": [served]}
    return made


def _cluster_roles() -> list[Json]:
    account, role = "kubeflow-pipelines-cache-deployer-sa", "kubeflow-pipelines-cache-deployer-clusterrole"
    rules = [
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": ["certificatesigningrequests"],
            "verbs": ["create", "delete", "get", "update"],
        }
    ]
    binding = _object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", f"{role}binding")
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    binding["subjects"] = [{"kind": "ServiceAccount", "name": account, "namespace": "kubeflow"}]
    clustered = _object("rbac.authorization.k8s.io/v1", "ClusterRole", role, rules=rules)
    return [_object("v1", "ServiceAccount", account), clustered, binding]


def _accounts() -> list[Json]:
    made = [_object("v1", "ServiceAccount", name) for name in MORE_ACCOUNTS]
    for role, (binding, account, rules) in ROLES.items():
        if not account.endswith("cache-deployer-sa"):
            made.append(_object("v1", "ServiceAccount", account))
        bound = _object("rbac.authorization.k8s.io/v1", "RoleBinding", binding)
        bound["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
        bound["subjects"] = [{"kind": "ServiceAccount", "name": account}]
        made += [_object("rbac.authorization.k8s.io/v1", "Role", role, rules=rules), bound]
    return made


def _settings(version: str) -> list[Json]:
    maps = {
        "kfp-launcher": {"defaultPipelineRoot": ""},
        "metadata-grpc-configmap": {
            "METADATA_GRPC_SERVICE_HOST": "metadata-grpc-service",
            "METADATA_GRPC_SERVICE_PORT": "8080",
        },
        "ml-pipeline-ui-configmap": {"viewer-pod-template.json": "{}"},
        "pipeline-install-config": {**SETTINGS, "appVersion": version},
        "workflow-controller-configmap": {"containerRuntimeExecutor": "emissary"},
    }
    secrets = {
        "mlpipeline-minio-artifact": {"accesskey": "minio", "secretkey": "minio123"},
        "mysql-secret": {"username": "root", "password": ""},
    }
    return [
        *(_object("v1", "ConfigMap", name, data=data) for name, data in maps.items()),
        *(_object("v1", "Secret", name, type="Opaque", stringData=data) for name, data in secrets.items()),
        _object("scheduling.k8s.io/v1", "PriorityClass", "workflow-controller", value=1000000),
    ]


def _storage() -> list[Json]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    return [_object("v1", "PersistentVolumeClaim", name, spec=spec) for name in ("minio-pvc", "mysql-pv-claim")]


def _services(version: str) -> list[Json]:
    services = dict(SERVICES)
    if version == "2.0.0":
        services["workflow-controller-metrics"] = ({"app": "workflow-controller"}, [("metrics", 9090, 9090)])
    made = []
    for name, (selector, ports) in services.items():
        listed = [
            {"port": port, "targetPort": target} | ({"name": label} if label else {}) for label, port, target in ports
        ]
        made.append(_object("v1", "Service", name, spec={"selector": selector, "ports": listed}))
    return made


def _from(kind: str, name: str, key: str) -> Json:
    return {"valueFrom": {f"{kind}KeyRef": {"name": name, "key": key}}}


def _env(**values: Any) -> list[Json]:
    """Return environment variables: text, or a reference as _from makes it."""
    return [{"name": name} | (value if isinstance(value, dict) else {"value": value}) for name, value in values.items()]


def _wget(port: int, path: str) -> Json:
    command = ["wget", "-q", "-S", "-O", "-", f"http://localhost:{port}{path}"]
    return {"exec": {"command": command}, "initialDelaySeconds": 3, "periodSeconds": 5, "timeoutSeconds": 2}


def _deployments(version: str) -> list[Json]:
    kinds = IMAGES[version]
    user, password = _from("secret", "mysql-secret", "username"), _from("secret", "mysql-secret", "password")
    access = _from("secret", "mlpipeline-minio-artifact", "accesskey")
    secret = _from("secret", "mlpipeline-minio-artifact", "secretkey")

    def setting(key: str) -> Json:
        return _from("configMap", "pipeline-install-config", key)

    namespace = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    database: Json = {"USER": user, "PASSWORD": password, "DBNAME": setting("pipelineDb"), "HOST": setting("dbHost")}
    database["PORT"] = setting("dbPort")
    prefix = "DBCONFIG_" if version == "2.0.0" else "DBCONFIG_MYSQLCONFIG_"
    api: Json = {f"{prefix}{key}": value for key, value in database.items()}
    api |= {"POD_NAMESPACE": namespace, "OBJECTSTORECONFIG_SECURE": "false"}
    api |= {"OBJECTSTORECONFIG_BUCKETNAME": setting("bucketName"), "OBJECTSTORECONFIG_ACCESSKEY": access}
    api |= {"OBJECTSTORECONFIG_SECRETACCESSKEY": secret}
    if version != "2.0.0":
        api["V2_DRIVER_IMAGE"] = f"{kinds['prefix']}driver{kinds['tag']}"
        api["V2_LAUNCHER_IMAGE"] = f"{kinds['prefix']}launcher{kinds['tag']}"
    health = _wget(8888, "/apis/v1beta1/healthz")
    startup = {key: value for key, value in health.items() if key != "initialDelaySeconds"} | {"failureThreshold": 12}
    login = {"DBCONFIG_USER": user, "DBCONFIG_PASSWORD": password}
    tcp = {"tcpSocket": {"port": "grpc-api"}, "initialDelaySeconds": 3, "periodSeconds": 5, "timeoutSeconds": 2}

    def image(program: str) -> str:
        names: Any = kinds["names"]
        return f"{kinds['prefix']}{names.get(program, program)}{kinds['tag']}"

    def both(probe: Json) -> Json:
        return {"livenessProbe": probe, "readinessProbe": probe}

    deployment = _deployment
    return [
        deployment("cache-deployer-deployment", "main", image("cache-deployer"), app="cache-deployer",
                   account="kubeflow-pipelines-cache-deployer-sa", env=_env(NAMESPACE_TO_WATCH=namespace),
                   container={"imagePullPolicy": "Always"}),
        deployment("cache-server", "server", image("cache-server"), account="kubeflow-pipelines-cache",
                   env=_env(**login, DBCONFIG_HOST_NAME=setting("dbHost"), DBCONFIG_PORT=setting("dbPort"),
                            DBCONFIG_DB_NAME=setting("cacheDb"), CACHE_IMAGE=setting("cacheImage")),
                   ports={"webhook-api": 8443},
                   container={"imagePullPolicy": "Always", "args": [
                       "--db_driver=mysql", "--db_host=$(DBCONFIG_HOST_NAME)", "--db_port=$(DBCONFIG_PORT)",
                       "--db_name=$(DBCONFIG_DB_NAME)", "--db_user=$(DBCONFIG_USER)",
                       "--db_password=$(DBCONFIG_PASSWORD)", "--listen_port=8443"]},
                   volume=("webhook-tls-certs", {"secret": {"secretName": "webhook-server-tls"}},
                           "/etc/webhook/certs")),
        deployment("metadata-envoy-deployment", "container", image("metadata-envoy"), app="metadata-envoy",
                   labels={"component": "metadata-envoy"}, ports={"md-envoy": 9090, "envoy-admin": 9901}),
        deployment("metadata-grpc-deployment", "container", str(kinds["mlmd"]), app="metadata-grpc",
                   labels={"component": "metadata-grpc-server"}, account="metadata-grpc-server",
                   ports={"grpc-api": 8080},
                   env=_env(**login, MYSQL_DATABASE=setting("mlmdDb"), MYSQL_HOST=setting("dbHost"),
                            MYSQL_PORT=setting("dbPort")),
                   container={**both(tcp), "command": ["/bin/metadata_store_server"], "args": [
                       "--grpc_port=8080", "--mysql_config_database=$(MYSQL_DATABASE)",
                       "--mysql_config_host=$(MYSQL_HOST)", "--mysql_config_port=$(MYSQL_PORT)",
                       "--mysql_config_user=$(DBCONFIG_USER)", "--mysql_config_password=$(DBCONFIG_PASSWORD)",
                       "--enable_database_upgrade=true"]}),
        deployment("metadata-writer", "main", image("metadata-writer"),
                   account="kubeflow-pipelines-metadata-writer", env=_env(NAMESPACE_TO_WATCH=namespace)),
        deployment("minio", "minio", "gcr.io/ml-pipeline/minio:RELEASE.2019-08-14T20-37-41Z-license-compliance",
                   env=_env(MINIO_ACCESS_KEY=access, MINIO_SECRET_KEY=secret), ports={"": 9000},
                   container={"args": ["server", "/data"]}, sub_path="minio",
                   volume=("data", {"persistentVolumeClaim": {"claimName": "minio-pvc"}}, "/data")),
        deployment("ml-pipeline", "ml-pipeline-api-server", image("api-server"), account="ml-pipeline",
                   env=_env(**api), ports={"http": 8888, "grpc": 8887},
                   container={**both(health), "startupProbe": startup, "imagePullPolicy": "IfNotPresent"}),
        deployment("ml-pipeline-persistenceagent", "ml-pipeline-persistenceagent", image("persistenceagent"),
                   account="ml-pipeline-persistenceagent", env=_env(NAMESPACE=namespace)),
        deployment("ml-pipeline-scheduledworkflow", "ml-pipeline-scheduledworkflow", image("scheduledworkflow"),
                   account="ml-pipeline-scheduledworkflow", env=_env(NAMESPACE=namespace)),
        deployment("ml-pipeline-ui", "ml-pipeline-ui", image("frontend"), account="ml-pipeline-ui",
                   env=_env(MINIO_NAMESPACE=namespace, MINIO_ACCESS_KEY=access, MINIO_SECRET_KEY=secret),
                   ports={"": 3000}, container=both(_wget(3000, "/apis/v1beta1/healthz")),
                   volume=("config-volume", {"configMap": {"name": "ml-pipeline-ui-configmap"}}, "/etc/config")),
        deployment("ml-pipeline-viewer-crd", "ml-pipeline-viewer-crd", image("viewer-crd-controller"),
                   account="ml-pipeline-viewer-crd-service-account", env=_env(NAMESPACE=namespace),
                   container={"imagePullPolicy": "Always"}),
        deployment("ml-pipeline-visualizationserver", "ml-pipeline-visualizationserver",
                   image("visualization-server"), account="ml-pipeline-visualizationserver", ports={"http": 8888},
                   container=both(_wget(8888, "/"))),
        deployment("mysql", "mysql", "gcr.io/ml-pipeline/mysql:8.0.26", account="mysql", ports={"mysql": 3306},
                   env=_env(**{"MYSQL_ALLOW_EMPTY_PASSWORD": "true"}),
                   container={"args": ["--datadir", "/var/lib/mysql",
                                       "--default-authentication-plugin=mysql_native_password", "--disable-log-bin"]},
                   volume=("mysql-persistent-storage", {"persistentVolumeClaim": {"claimName": "mysql-pv-claim"}},
                           "/var/lib/mysql")),
        deployment("workflow-controller", "workflow-controller", str(kinds["controller"]), account="argo",
                   ports={"metrics": 9090, "": 6060},
                   container={
                       "command": ["workflow-controller"],
                       "args": ["--configmap", "workflow-controller-configmap", "--executor-image",
                                kinds["executor"], "--namespaced"],
                       "livenessProbe": {"httpGet": {"path": "/healthz", "port": 6060}, "initialDelaySeconds": 90,
                                         "periodSeconds": 60, "timeoutSeconds": 30},
                       "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
                                           "readOnlyRootFilesystem": True, "runAsNonRoot": True}}),
    ]  # fmt: skip


def _deployment(
    name: str,
    container_name: str,
    image: str,
    *,
    app: str = "",
    labels: Json | None = None,
    account: str = "",
    env: list[Json] | None = None,
    ports: dict[str, int] | None = None,
    container: Json | None = None,
    volume: tuple[str, Json, str] | None = None,
    sub_path: str = "",
) -> Json:
    """Return a Deployment of one container; one with a claim of its own is replaced, not rolled."""
    selector = labels or {"app": app or name}
    made: Json = {"name": container_name, "image": image, **(container or {})}
    if env:
        made["env"] = env
    if ports:
        made["ports"] = [{"containerPort": port} | ({"name": key} if key else {}) for key, port in ports.items()]
    pod: Json = {"containers": [made]} | ({"serviceAccountName": account} if account else {})
    spec: Json = {"selector": {"matchLabels": selector}}
    if volume:
        mount = {"name": volume[0], "mountPath": volume[2]} | ({"subPath": sub_path} if sub_path else {})
        made["volumeMounts"] = [mount]
        pod["volumes"] = [{"name": volume[0], **volume[1]}]
        if "persistentVolumeClaim" in volume[1]:
            spec["strategy"] = {"type": "Recreate"}
    spec["template"] = {"metadata": {"labels": selector}, "spec": pod}
    return _object("apps/v1", "Deployment", name, spec=spec)
