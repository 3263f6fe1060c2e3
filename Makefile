# `make demo` and `make test` work on a fresh clone with Python 3.11 or later, git and make.
# Both use the package as a user would have it: installed in .venv, not imported from these folders.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
JOBS ?= 2
bin := $(abspath $(VENV))/bin
pip := $(bin)/python -m pip --disable-pip-version-check
sources := $(shell find fdif_dsl grammar compiler runtime shapes -type f ! -name '*.pyc')

# Idle threads sleep instead of spinning, which matters wherever others use the machine too.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test fuzz lint docs vsix playground clean
help:
	@echo 'make demo   install, compile the library, make 8 volumes, pre-train a small network'
	@echo 'make test   install, run the tests'
	@echo 'make fuzz   install, look for programs and files that break it; MINUTES=60, or COUNT=1000000, and SEED=1'
	@echo 'make lint   install, run ruff and mypy'
	@echo 'make docs   install, build the site in build/site/html; the first time draws its pictures, for minutes'
	@echo 'make vsix   package the extension for VS Code; needs npm'
	@echo 'make playground  bundle the page of fdifc play anew; needs npm'
	@echo 'make clean  remove what the others made'

demo: $(VENV)/package
	$(bin)/fdifc compile -o build/std
	$(bin)/fdifc generate --recipe demo --count 8 --seed 7 --format monai -o demo/volumes --overwrite \
		--library build/std
	$(bin)/fdifc pretrain demo -o demo/pretrain --overwrite --library build/std --require-fall 50
	@echo
	@echo 'The demo is done. It lies here:'
	@echo '  build/std                      the compiled library'
	@echo '  demo/volumes                   8 labelled volumes, a MONAI Decathlon data set'
	@echo '  demo/volumes/overview.png      their picture'
	@echo '  demo/pretrain/last.ckpt        the checkpoint, to resume from'
	@echo '  demo/pretrain/weights.pt       the network weights alone'
	@echo '  demo/pretrain/metrics.csv      the log'
	@echo '  demo/pretrain/loss.png         the loss curve'
	@echo '  demo/pretrain/scores.png       Dice on held-out volumes, for each class'
	@echo '  demo/pretrain/predictions.png  held-out volumes, their labels, and what the network makes of them'

# PYTHONSAFEPATH keeps Python from taking the folder fdif_dsl here for the installed package.
test: $(VENV)/package $(VENV)/nnunet
	PYTHONSAFEPATH=1 OMP_NUM_THREADS=1 $(bin)/pytest -n $(JOBS) $(TESTS)

# A failure prints the command that shows it again; then it becomes a test in tests/fuzz.
MINUTES ?= $(if $(COUNT),,60)
fuzz: $(VENV)/package
	OMP_NUM_THREADS=1 nice -n 19 $(bin)/python tests/fuzz/fuzz.py --seed $(or $(SEED),1) \
		$(if $(COUNT),--count $(COUNT)) $(if $(MINUTES),--minutes $(MINUTES))

# mypy runs elsewhere, so that it finds the installed package and not the folder of the same name.
lint: $(VENV)/package
	$(bin)/ruff check .
	cd $(VENV) && $(bin)/mypy --config-file '$(CURDIR)/pyproject.toml' -p fdif_dsl

# Warnings are errors, and every link is checked. Pictures are kept in build/site/pictures for as long as they are right.
docs: $(VENV)/package $(VENV)/docs
	$(bin)/python docs/site/build.py

$(VENV)/docs: $(VENV)/dependencies
	$(pip) install --quiet -c constraints.txt '.[docs]'
	@touch $@

# The extension for VS Code, in one file. The versions of what it is made with stand in its package-lock.json.
vsix:
	cd editors/vscode && npm ci --no-audit --no-fund && npm run package
	@ls editors/vscode/*.vsix

# The page of `fdifc play`, from playground/ into the package, where the result is kept: who installs needs no npm. The
# versions of what it is made with stand in its package-lock.json, and the same sources give the same bytes.
playground:
	$(bin)/python editors/words.py
	cd playground && npm ci --no-audit --no-fund && npm run build
	@ls runtime/play/static

# The big dependencies, and torch first: what needs it then takes the one that is there.
$(VENV)/dependencies: pyproject.toml constraints.txt
	@test -n '$(PYTHON)' || { echo 'make: Python 3.11 or later is needed; say where it is: make PYTHON=/path/to/python3'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(pip) install --quiet -c constraints.txt torch
	rm -rf build/lib build/bdist.*
	$(pip) install --quiet -c constraints.txt '.[dev]'
	@touch $@

# nnU-Net, which a test hands a data set to.
$(VENV)/nnunet: tests/nnunetv2.txt $(VENV)/dependencies
	$(pip) install --quiet --no-deps -r tests/nnunetv2.txt
	@touch $@

# The package itself, whenever a source changed. A stale build/lib would put deleted files into the wheel.
$(VENV)/package: $(VENV)/dependencies $(sources)
	rm -rf build/lib build/bdist.*
	$(pip) install --quiet --no-deps --force-reinstall -c constraints.txt .
	@touch $@

clean:
	rm -rf playground/node_modules editors/vscode/node_modules editors/vscode/dist editors/vscode/*.vsix
	rm -rf $(VENV) build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
