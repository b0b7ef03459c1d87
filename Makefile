# Everything starts here. `make help` lists the targets; stack/ has what they do.

CKAN_VERSION ?=
SITE ?= test
ARGS ?=
STACK = stack/bootstrap.sh
TEST = $(if $(CKAN_VERSION),--version $(CKAN_VERSION)) --site $(SITE)

.DEFAULT_GOAL := help
.PHONY: help demo airflow down test test-up test-down lint types bench pins clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' Makefile | expand -t 12

demo:  ## a running CKAN with real data, in .demo/ (PORT=5000); again: quick and harmless
	@$(STACK) demo $(if $(CKAN_VERSION),--version $(CKAN_VERSION)) $(if $(PORT),--port $(PORT))

airflow:  ## a real Airflow 3 beside the demo's CKAN, and one large file through it; again: quick and harmless
	@$(STACK) airflow $(if $(CKAN_VERSION),--version $(CKAN_VERSION)) $(if $(PORT),--port $(PORT))

down:  ## stop what `make demo` and `make airflow` started; the data stays
	@$(STACK) down

test:  ## all tests on a stack of their own, in .test/ (CKAN_VERSION=2.11.6, ARGS="-k foo", ONLY=library,ckan,project,browser,airflow)
	@$(STACK) test $(TEST) $(if $(ONLY),--only $(ONLY)) -- $(ARGS)

test-up:  ## start the test stack and leave it running, for quick rounds with pytest (SITE=name: own databases; LIVE=1)
	@$(STACK) test-up $(TEST) $(if $(LIVE),--live)

test-down:  ## stop the test stack
	@$(STACK) test-down

lint:  ## ruff
	@$(STACK) check -- lint

types:  ## mypy, strict for aircan/
	@$(STACK) check -- types

bench:  ## the benchmarks of bench/ on the test stack (ARGS="name.py")
	@$(STACK) bench $(if $(CKAN_VERSION),--version $(CKAN_VERSION)) -- $(ARGS)

pins:  ## write requirements/*.txt anew: newest versions that fit
	@$(STACK) pins -- $(ARGS)

clean:  ## stop and remove .demo/ and .test/, data and environments included
	@$(STACK) clean
