The benchmarks compare loads with ckanext-xloader and with CKAN's own API, and measure two loads at once, peak memory, what others feel of a load, and gin against gist: `bench/README.md`.
