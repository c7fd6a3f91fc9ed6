# On a fresh machine, run `make demo` or `make test`; both install into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
export NO_ALBUMENTATIONS_UPDATE = 1
export GRADIO_ANALYTICS_ENABLED = False

.PHONY: install demo study app test test-oldest fuzz docs models clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) torch torchvision
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable \
		".[c2pa,dev,docs,encryption,lpips,offline,onnx,study,track]"
	touch $@

# Every step from cohort to classifier, on phantoms; writes demo/report.html.
demo: install
	$(BIN)/morphoscope demo

# A small study of augmentation on phantoms, with its report: study/report.html. Re-run it to resume.
study: install
	test -e study-phantoms/manifest.csv || $(BIN)/morphoscope cohort phantom study-phantoms --per-condition 48
	$(BIN)/morphoscope study run --preset phantom-small --cohort study-phantoms --run study

# The studio in the browser, with the bundled phantom models.
app: install
	$(BIN)/morphoscope app

# One process per core, each with its own files and a single thread; where a test asks for more threads, they must
# not wait for each other by spinning.
test: export OMP_NUM_THREADS = 1
test: export OMP_WAIT_POLICY = passive
test: install
	$(BIN)/pytest -m "not slow and not slurm" -q -n logical --maxprocesses 4 --dist loadfile

# The same with the oldest versions of what the program depends on: the lower bounds in pyproject.toml.
test-oldest:
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt

# Damaged files for every reader, for MINUTES; `make test` tries a few hundred of each.
MINUTES ?= 10
fuzz: install
	PYTHONPATH=tests $(BIN)/python -m hostile.fuzz --minutes $(MINUTES)

# The documentation as a site: site/index.html. Needs no network; a broken link is an error.
docs: install
	$(BIN)/sphinx-build -W --keep-going -q -d build/docs docs site

# Trains the bundled models (docs/model-card.md): about two hours on two cores. Re-run it to resume after a stop.
models: install
	nice $(BIN)/python -m morphoscope.apps.make_models models

clean:
	rm -rf $(VENV) .venv-oldest demo models runs site study study-phantoms
