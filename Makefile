# Thin: what a target does is in the program that it calls. CI calls only these.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

bin := .venv/bin
compile := .tools/uv/uv pip compile --system-certs --quiet --universal --generate-hashes \
	--python-version 3.11 --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.PHONY: help setup demo test lint format render check-render bench bench-statistics schema docs lock clean \
	lab-setup lab-up lab-demo lab-status lab-down test-lab bench-lab site

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make this clone ready: Debian packages, .venv, tool box, CNI plugins (needs root)
	@images/setup.sh

demo: setup ## Run a real campaign on this machine, in network namespaces, and show its report
	$(bin)/cnibench plan workflows/campaigns/demo.yaml
	$(bin)/cnibench run workflows/campaigns/demo.yaml; \
	status=$$?; $(bin)/cnibench report --campaign demo; exit $$status

# The cheap checks come first, and pytest's closing line is the last that is printed.
test: lint ## Check the code and run all tests
	$(bin)/pytest

lint: setup ## Check style and types
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy

format: setup ## Rewrite the code in the project's style
	$(bin)/ruff check --fix
	$(bin)/ruff format

render: setup ## Write the Argo manifests in workflows/rendered
	$(bin)/python -m workflows.render

check-render: setup ## Fail when the committed Argo manifests are not what the code renders
	$(bin)/python -m workflows.render --check

bench: setup ## Print how the product compares with its aims, and keep it in bench.json
	$(bin)/python -m benchmarks.planning --json bench.json
	$(bin)/python -m benchmarks.queries --json bench.json
	$(bin)/python -m benchmarks.collect --json bench.json
	$(bin)/python -m benchmarks.overhead --json bench.json
	$(bin)/python -m benchmarks.cycles --json bench.json
	$(bin)/python -m benchmarks.watching --json bench.json

bench-statistics: setup ## Print false alarms and differences missed by four rules on the same data
	OMP_NUM_THREADS=1 $(bin)/python -m benchmarks.statistics --json bench.json
	$(bin)/python -m benchmarks.differences

lab-setup: setup ## Compile and pack what the lab runs (15 minutes on two cores, once)
	@lab/setup.sh

lab-up: lab-setup ## Start a throw-away Kubernetes cluster here, in namespaces or with NODES=vm
	@$(if $(filter vm,$(NODES)),lab/machine/setup.sh)
	@$(bin)/python -m lab up $(if $(NODES),--nodes $(NODES))

lab-demo: lab-up ## Have Argo run a campaign of every plugin that can run in the lab
	@lab/demo.sh

lab-status: setup ## Say what of the lab runs, and which kubeconfig leads to it
	@$(bin)/python -m lab status

lab-down: setup ## Take the lab down; nothing of it stays
	@$(bin)/python -m lab down

test-lab: lab-setup ## Run the tests that need a real cluster, in a lab of their own
	@tests/lab/setup.sh
	$(bin)/pytest tests/lab

bench-lab: lab-setup ## Measure installing, removing and idling of each plugin, and pod start
	$(bin)/python -m benchmarks.lab --json bench.json

schema: setup ## Write the JSON schemas of the catalog's files
	$(bin)/python -m steps.lib.schemas

docs: setup ## Write the generated pages of docs/
	$(bin)/python -m steps.lib.reference
	$(bin)/python -m workflows.access

site: setup ## Render docs/ to site/, with report.html, or REPORT=file, as the example
	@REPORT='$(REPORT)' images/site/make.sh

lock: setup ## Resolve the Python packages anew, with UPGRADE=1 to the newest versions
	$(compile) --extra dev --fork-strategy fewest --output-file requirements.lock pyproject.toml
	$(compile) --output-file images/uv/requirements.lock images/uv/requirements.in
	$(compile) --output-file images/site/requirements.lock images/site/requirements.in
	$(compile) --output-file images/go/requirements.lock images/go/requirements.in

clean: ## Remove what was made in this clone; the cache in ~/.cache/cnibench stays
	rm --recursive --force site docs/example-report.html .venv .tools .mypy_cache .pytest_cache .ruff_cache *.egg-info build
