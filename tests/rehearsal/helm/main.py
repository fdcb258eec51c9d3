"""Entry of the program: arguments to the engine, the engine's answers as `helm` prints them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from .engine import load
from .flags import VERSION, parser

Release = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = parser().parse_args(argv)
    if args.verb == "version":
        said = f'Version:"{VERSION}", GitCommit:"rehearsal", GitTreeState:"clean", KubeClientVersion:""'
        print(f"{VERSION}+grehears" if args.short else f"version.BuildInfo{{{said}}}")
        return 0
    helm = load()
    try:
        return _run(helm, args)
    except helm.HelmNotFoundError as error:
        print(f"Error: {error}", file=sys.stderr)
    except helm.HelmError as error:
        print(f"Error: {_said(args, str(error))}", file=sys.stderr)
    except OSError as error:
        print(f"Error: open {error.filename}: {error.strerror}", file=sys.stderr)
    return 1


def _said(args: argparse.Namespace, message: str) -> str:
    prefix = {"install": "INSTALLATION FAILED: ", "upgrade": "UPGRADE FAILED: "}.get(args.verb, "")
    return message if message.startswith(prefix) else prefix + message


def _run(helm: Any, args: argparse.Namespace) -> int:
    namespace = args.namespace or os.environ.get("HELM_NAMESPACE") or None
    config = helm.Config(
        namespace=namespace,
        kubeconfig_path=args.kubeconfig,
        kube_context=args.kube_context or os.environ.get("HELM_KUBECONTEXT") or None,
    )
    with config:
        if args.verb in ("template", "install", "upgrade"):
            _change(helm, config, args, namespace)
        elif args.verb == "list":
            _list(config, args)
        elif args.verb == "status":
            found = config.status(args.name)
            print(json.dumps(_status(found)) if args.output == "json" else _summary(found))
        elif args.verb == "history":
            _history(config, args)
        elif args.verb == "get":
            _get(config, args)
        elif args.verb == "uninstall":
            config.uninstall(
                args.name, ignore_not_found=args.ignore_not_found, keep_history=args.keep_history,
                timeout=args.timeout, wait=_wait(args),
            )  # fmt: skip
            print(f'release "{args.name}" uninstalled')
    return 0


def _wait(args: argparse.Namespace) -> str | None:
    """Return the engine's word for how to wait; rolling back implies waiting."""
    if args.wait in (None, "false"):
        return "watcher" if getattr(args, "atomic", False) else None
    return "watcher" if args.wait == "true" else str(args.wait)


def values(helm: Any, files: list[str], settings: list[str]) -> Release:
    """Return the values of files and of --set, the later over the earlier."""
    found: Release = {}
    for name in files:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
        found = merged(found, helm.values_from_yaml(text))
    for text in settings:
        found = merged(found, helm.parse_set_string(text))
    return found


def merged(below: Release, above: Release) -> Release:
    """Return maps laid over one another, everything else replaced."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _change(helm: Any, config: Any, args: argparse.Namespace, namespace: str | None) -> None:
    """Render, install or upgrade a chart."""
    given = values(helm, args.values, args.settings)
    with helm.Chart.load(args.chart) as chart:
        if args.chart_version and args.chart_version.lstrip("v") != chart.version.lstrip("v"):
            raise helm.HelmChartLoadError(f"{args.chart} is version {chart.version} and not {args.chart_version}")
        if args.verb == "template":
            if args.include_crds:
                for crd in chart.crds:
                    print(f"---\n# Source: {crd['filename']}\n{crd['data'].strip()}")
            print(config.install(chart, args.name, given, namespace=namespace, dry_run="client")["manifest"], end="")
            return
        options = {
            "namespace": namespace, "timeout": args.timeout, "wait": _wait(args), "dry_run": args.dry_run,
            "rollback_on_failure": args.atomic, "description": args.description,
        }  # fmt: skip
        if args.verb == "install" or (args.install and _absent(helm, config, args.name)):
            if args.verb == "upgrade" and args.output == "table":
                print(f'Release "{args.name}" does not exist. Installing it now.')
            release = config.install(chart, args.name, given, create_namespace=args.create_namespace, **options)
        else:
            release = config.upgrade(
                chart, args.name, given, max_history=args.history_max, reset_values=args.reset_values,
                reuse_values=args.reuse_values, **options,
            )  # fmt: skip
            if args.output == "table":
                print(f'Release "{args.name}" has been upgraded. Happy Helming!')
    print(json.dumps(_status(release)) if args.output == "json" else _summary(release))


def _absent(helm: Any, config: Any, name: str) -> bool:
    """Tell whether a release has no revision that an upgrade could begin with."""
    try:
        history = config.history(name)
    except helm.HelmNotFoundError:
        return True
    return all(each["status"] == "uninstalled" for each in history)


def _status(release: Release) -> Release:
    """Return a release as `helm status -o json` has it."""
    return {
        "name": release["name"],
        "info": {"last_deployed": release["deployed_at"], "status": release["status"]},
        "manifest": release.get("manifest", ""),
        "version": release["revision"],
        "namespace": release["namespace"],
    }


def _summary(release: Release) -> str:
    return (
        f"NAME: {release['name']}\nLAST DEPLOYED: {release['deployed_at']}\nNAMESPACE: {release['namespace']}\n"
        f"STATUS: {release['status']}\nREVISION: {release['revision']}"
    )


def _line(release: Release) -> Release:
    """Return a release as `helm list -o json` has it."""
    return {
        "name": release["name"],
        "namespace": release["namespace"],
        "revision": str(release["revision"]),
        "updated": release["deployed_at"],
        "status": release["status"],
        "chart": f"{release['chart_name']}-{release['chart_version']}",
        "app_version": release["app_version"],
    }


def _list(config: Any, args: argparse.Namespace) -> None:
    found = config.list(all_states=args.all, all_namespaces=args.all_namespaces, name_filter=args.filter)
    lines = [_line(release) for release in found]
    if args.short:
        print("\n".join(line["name"] for line in lines))
    elif args.output == "json":
        print(json.dumps(lines))
    else:
        print("NAME\tNAMESPACE\tREVISION\tUPDATED\tSTATUS\tCHART\tAPP VERSION")
        for line in lines:
            print("\t".join(line.values()))


def _history(config: Any, args: argparse.Namespace) -> None:
    lines = [_line(release) | {"revision": release["revision"]} for release in config.history(args.name)]
    for line in lines:
        del line["name"], line["namespace"]
    if args.output == "json":
        print(json.dumps(lines))
        return
    for line in lines:
        print("\t".join(str(part) for part in line.values()))


def _get(config: Any, args: argparse.Namespace) -> None:
    if args.what == "manifest":
        print(config.status(args.name)["manifest"])
    elif args.output != "json":
        parser().error(f"helm get {args.what} needs -o json")
    elif args.what == "values":
        print(json.dumps(config.get_values(args.name, all_values=args.all)))
    else:
        print(json.dumps(config.get_metadata(args.name)))
