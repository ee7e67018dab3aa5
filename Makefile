# make demo: the main job on real data.  make test: lint, types and tests.  make results: all reports under results/.
# Both set up .venv the first time; nothing outside of this folder and pip's cache is touched.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
KERNELS := setup.py $(wildcard src/binorm/backends/cpu/*.cpp src/binorm/backends/cpu/*.h)

.PHONY: demo test lint results clean

demo: $(READY)
	@echo "Comparing four norms on real handwritten digits in styles: 12 small networks, about 3 minutes on two cores."
	@echo "Trained networks stay in runs/digits; a second 'make demo' shows them again, 'rm -r runs/digits' starts anew."
	@$(BIN)/binorm compare digits --shifts style --out runs

test: lint
	@echo "Running the tests (under 8 minutes on two idle cores)."
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)
	@echo "Checking style and types."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@echo "Checking that what is imported is declared, and that imports point downwards."
	@$(BIN)/deptry src tools benchmarks
	@$(BIN)/deptry tests tests/demo tests/distributed tests/experiments --exclude .venv --ignore DEP002,DEP004
	@$(BIN)/lint-imports --no-cache

results: $(READY)
	@echo "Writing every report under results/ anew from its runs, and BIN against BN over all of them."
	@$(BIN)/python tools/results.py

$(READY): pyproject.toml $(KERNELS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "binorm needs Python 3.11 or later, $(PYTHON) is older: try make PYTHON=python3.12 ..."; exit 2; }
	@echo "Setting up .venv with PyTorch, binorm and its tools: once, some minutes and about 6 GB."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check 'setuptools>=77' 'torch>=2.10'
	@echo "Compiling the C++ kernels against it, about a minute, and installing the rest."
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv build src/*.egg-info src/binorm/backends/cpu/kernels.so src/binorm/backends/cpu/why_not_built.txt \
		.mypy_cache .ruff_cache .pytest_cache
