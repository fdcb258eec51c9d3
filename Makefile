# make demo rehearses the installation on a throwaway server of this machine; make test proves the project.
.DEFAULT_GOAL := help
.PHONY: help test-admin test-local test-cluster test-access test-cvmfs test-servers venv demo demo-down demo-ssh test test-batch lint unit molecule lock docs specs
PYTHON_VENV := .venv/bin/python

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

venv: ## make or refresh .venv from the lock
	@scripts/setup-venv

demo: venv ## boot a throwaway server here and turn it into a workstation that runs pipelines, over SSH
	@$(PYTHON_VENV) -m tests.rehearsal.demo

demo-down: venv ## remove the throwaway server and all that make demo started
	@$(PYTHON_VENV) -m tests.rehearsal down

demo-ssh: venv ## log in to the throwaway server
	@$(PYTHON_VENV) -m tests.rehearsal ssh

test: venv ## run every check: lint, unit tests, and a server's whole life over SSH
	@scripts/run-tests lint unit molecule

test-local: venv ## notebooks in containers of this machine's Docker: neurobatch run --local
	@.venv/bin/pytest -v tests/local

test-batch: venv ## notebooks over subjects on a cluster of their own, with a reboot
	@.venv/bin/pytest -v tests/batch

lint: venv ## ansible-lint, yamllint, ruff, mypy
	@scripts/run-tests lint

unit: venv ## unit tests
	@scripts/run-tests unit

test-access: venv ## from the browser to a submitted notebook, on a rehearsed cluster (40 minutes; STACK= takes the other stack)
	@$(PYTHON_VENV) -m tests.access

molecule: venv ## a server's whole life over SSH
	@scripts/run-tests molecule

specs: venv ## compile the pipelines with each stack's kfp SDK (in .venv-kfp-<stack>)
	@scripts/compile-specs

docs: venv ## write the generated parts of the documentation
	@.venv/bin/neurobatch role-docs && .venv/bin/neurobatch docs

test-servers: venv ## probe, downloads and pins against a real registry, proxy and file servers
	@.venv/bin/pytest -q tests/doors

test-cluster: venv ## apply, break, repair, rotate, reboot and reset on a server of its own (STACK= takes the other stack)
	@.venv/bin/pytest -v $(or $(TESTS),tests/cluster)

test-admin: venv ## clusters of others: rights, storage, OpenShift's APIs, then a whole installation (15 minutes)
	@.venv/bin/pytest -q tests/admin

test-cvmfs: venv ## the tools in pods: mounts, verdicts and faults on a server of its own (40 minutes)
	@$(PYTHON_VENV) -m tests.cvmfs

lock: venv ## resolve every environment of requirements/ anew
	@scripts/lock
