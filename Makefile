# The commands of this project. Each works from a fresh clone with nothing but Python 3.11 or newer:
# it makes a virtual environment in .venv and installs there what it needs, again only after
# setup.cfg or pyproject.toml has changed. Options for a script or for pytest go into ARGS:
#
#     make demo ARGS="--data mnist --depth 30"
#     make test ARGS="tests/nn -x"
#     make test PYTHON=python3.13     (stays with it until another one is named)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo cures papers lab lab-static distributed test oldest newest lint bench parity nvrtc coverage docs docs-serve browser clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo       20 sigmoid layers with and without batch normalisation: tables, figures in out/"
	@echo "make cures      the same 20 layers with what is said to cure them, side by side: out/cures"
	@echo "make papers     what the papers claim, measured; ARGS=--quick: less than two minutes"
	@echo "make lab        web pages with sliders: what each layer sees, and what comes back to it"
	@echo "make lab-static the same pages for any web server; they compute in the reader's browser"
	@echo "make distributed  the 20-layer network in several processes on MPI (installs one): N=4"
	@echo "make test       the tests"
	@echo "make oldest     the tests with the oldest versions of everything that setup.cfg allows"
	@echo "make newest     the tests with the newest Python at hand"
	@echo "make lint       ruff and mypy"
	@echo "make parity     the tests against PyTorch (installs it: a large download)"
	@echo "make nvrtc      compiles the CUDA kernels with NVIDIA's compiler (installs it: 70 MB); needs no GPU"
	@echo "make coverage   the tests, with the share of lines and branches that they reach"
	@echo "make bench      the time of a training step beside PyTorch's (installs it); 6 minutes"
	@echo "make docs       the pages of docs/ as a site in two languages: docs/_build/html"
	@echo "make docs-serve the site on http://localhost:8000/: PORT=8000"
	@echo "make browser    the tests of the site and the lab in Chromium (installs Playwright, not Chromium)"
	@echo "make clean      remove .venv, caches and build products; out/ stays"

demo: $(VENV)/.installed-examples
	$(BIN)/python examples/vanishing_gradient.py $(ARGS)

cures: $(VENV)/.installed-examples
	$(BIN)/python examples/cures.py --out out/cures $(ARGS)

papers: $(VENV)/.installed-examples
	$(BIN)/python examples/papers $(ARGS)

lab: $(VENV)/.installed-lab
	$(BIN)/python -m minigrad.lab $(ARGS)

# What is left of an older build must not get into the wheel.
STATIC := build/lab-static
lab-static: $(VENV)/.installed-lab
	rm -rf build/lib build/wheel $(STATIC)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	$(BIN)/python -m minigrad.lab.static $(STATIC) build/wheel/*.whl

N := 4
distributed: $(VENV)/.installed-mpi
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/mpiexec -n $(N) $(BIN)/python examples/distributed.py $(ARGS)

# A process for each core; WORKERS=0 runs the tests in one, which a debugger needs.
WORKERS := auto
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# Each in an environment of its own. The oldest versions go to pip as constraints.
oldest:
	@mkdir -p build
	@$(PYTHON) .ci/versions.py oldest setup.cfg >build/oldest.txt
	PIP_CONSTRAINT=$(CURDIR)/build/oldest.txt $(MAKE) test VENV=.venv-oldest

newest:
	@python=$$($(PYTHON) .ci/versions.py newest); \
	if [ -n "$$python" ]; then $(MAKE) test VENV=.venv-newest PYTHON=$$python; \
	else echo "make newest: no Python newer than $$($(PYTHON) --version) was found; skipped"; fi

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

parity: $(VENV)/.installed-dev $(VENV)/.installed-parity
	$(BIN)/python -m pytest -m parity $(ARGS)

nvrtc: $(VENV)/.installed-dev $(VENV)/.installed-nvrtc
	$(BIN)/python -m pytest tests/cuda/test_sources.py $(ARGS)

coverage: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

bench: $(VENV)/.installed-bench
	$(BIN)/python examples/benchmarks/cpu.py $(ARGS)

# One tree for each language; a warning is an error. A page that is gone must not stay in the site.
SITE := docs/_build/html
SPHINX := $(BIN)/python -m sphinx --builder html --quiet --jobs 2 --fail-on-warning
docs: $(VENV)/.installed-docs
	rm -rf $(SITE)
	$(SPHINX) --doctree-dir docs/_build/doctrees/en docs $(SITE)
	$(SPHINX) --doctree-dir docs/_build/doctrees/zh --tag zh --conf-dir docs docs/zh $(SITE)/zh
	@echo "The site is in $(SITE)/index.html"

PORT := 8000
docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

browser: docs $(VENV)/.installed-dev $(VENV)/.installed-browser
	$(BIN)/python -m pytest tests/site $(ARGS)
	$(BIN)/python -m pytest -m browser --ignore tests/site $(ARGS)

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest build dist *.egg-info .coverage htmlcov docs/_build
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per extra. A stamp, not the folder, says that the environment is there: where the venv
# module is incomplete, a failed attempt leaves half a folder behind.
$(VENV)/.installed-%: $(VENV)/.created setup.cfg pyproject.toml
	@echo "Installing .[$*] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no '$(PYTHON)' here. Name a Python 3.11 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "minigrad needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	       "Name a newer one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@echo $(PYTHON) >$@

# An environment of another Python than the one that was asked for is made anew.
ifneq ($(origin PYTHON),file)
ifneq ($(PYTHON),$(shell cat $(VENV)/.created 2>/dev/null))
.PHONY: another-python
$(VENV)/.created: another-python
endif
endif
