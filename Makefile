# Two commands on a fresh machine, nothing to set up first:
#   make demo [SECONDS=60]    real files through three machines, the report on screen
#   make test                 the whole test suite
# Further: make check (all checks), make bench (speed, beside its floors), make chaos (processes killed while they work),
# make fuzz (hostile input), make mutants (do the tests notice small changes of the product?), make clean.

VENV := .venv
READY := $(VENV)/.ready
SECONDS ?= 60
# Twice the cores of a small machine: many tests wait for a process, a lease or cron.
PYTEST_FLAGS ?= -n 4 --dist worksteal

# Hundreds of processes are started: without its bytecode each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint bench chaos fuzz mutants clean

demo: $(READY)
	@$(VENV)/bin/python scripts/demo.py --seconds $(SECONDS)

test: $(READY)
	$(VENV)/bin/pytest $(PYTEST_FLAGS)

check: lint test

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

fuzz: $(READY)
	FUZZ=long $(VENV)/bin/pytest -q -s tests/fuzz

mutants: $(READY)
	$(VENV)/bin/python scripts/mutants.py $(MUTANTS_FLAGS)

bench: $(READY)
	$(VENV)/bin/python benchmarks/run.py

chaos: $(READY)
	$(VENV)/bin/python scripts/chaos.py $(CHAOS_FLAGS)

clean:
	rm -rf $(VENV) demo build dist *.egg-info .coverage htmlcov .hypothesis .*_cache

# The environment is made once, and again only when the package's metadata changes.
$(READY): setup.cfg pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh $(VENV)
	@touch $@
