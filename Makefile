# Two commands carry the project: `make book` and `make test`.  `make help` lists all.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help book test test-slow lint serve lab notebooks stale train clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

$(READY): requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	@touch $@

book: $(READY)  ## build the book from the committed outputs
	@$(BIN)/jupyter-book build . -W -n --keep-going --quiet
	@echo "The book is ready: open file://$(CURDIR)/_build/html/index.html (or: make serve)"

test: $(READY)  ## everything: lint, unit and contract tests, every notebook, the built pages
	@$(BIN)/python tools/check.py

test-slow: $(READY)  ## also the tests that retrain a model (minutes)
	@$(BIN)/python -m pytest tests --slow -m slow

lint: $(READY)  ## format and lint code and chapters in place
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

serve: book  ## build, then serve the book on http://127.0.0.1:8000
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

lab: $(READY)  ## open the chapters in JupyterLab
	@$(BIN)/jupyter lab notebooks

notebooks: $(READY)  ## re-execute stale chapters in place (N=13: that one; LOOKS=1: dated ones too)
	@$(BIN)/python tools/notebooks.py $(if $(LOOKS),--looks) $(N)

stale: $(READY)  ## say which chapters are stale, and why
	@$(BIN)/python tools/notebooks.py --list

SCALE ?= laptop
train: $(READY)  ## run the recipes of a chapter (N=13, or N=glow; SCALE=gpu MINUTES=25)
	@$(BIN)/python -m dgm.zoo.train $(N) --scale $(SCALE) $(if $(MINUTES),--minutes $(MINUTES))

clean:  ## remove the built book (.venv stays)
	@rm -rf _build stamped
