`make demo` brings up a CKAN with real data on a bare Debian or Ubuntu machine, `make down` stops it; `make test` runs all tests on a
stack of its own, for CKAN 2.12.0 or, with CKAN_VERSION, 2.11 and 2.10. compose.yaml is for those who have Docker.
