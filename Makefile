# Each command sets up what it needs, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-tornado lint format bench bench-screen clean

run: $(VENV)/run.done
	$(BIN)/python run.py $(ARGS)

# The whole suite, one process for each core; what ARGS names runs as pytest does it, one after the other.
# The bytecode is kept, whatever the environment says: some hundred programs start, and each would compile everything.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/dev.done
	$(BIN)/python -m pytest $(or $(ARGS),-n auto --dist worksteal)

# What leans on Tornado's insides, beside the newest Tornado, or another: make test-tornado TORNADO===6.6
TORNADO ?=
BESIDE := $(CURDIR)/build/tornado

test-tornado: $(VENV)/dev.done
	rm -rf $(BESIDE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(BESIDE) "tornado$(TORNADO)"
	PYTHONPATH=$(BESIDE) $(BIN)/python -c 'import tornado; print("Tornado", tornado.version)'
	PYTHONPATH=$(BESIDE) $(BIN)/python -m pytest $(addprefix tests/apizen/servers/tornado/test_, \
		tornado_internals.py front.py listener.py connections.py)

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.done
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/bench.done
	$(BIN)/python -m benchmarks.gateway $(ARGS)

bench-screen: $(VENV)/bench.done
	$(BIN)/python -m benchmarks.screen $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .hypothesis

REQUIREMENTS := requirements.txt requirements-apizen.txt requirements-screen.txt

$(VENV)/run.done: $(REQUIREMENTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/dev.done: requirements-dev.txt $(REQUIREMENTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/bench.done: requirements-bench.txt $(REQUIREMENTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
