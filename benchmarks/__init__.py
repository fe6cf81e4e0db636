"""The benchmarks: this project beside other tools on the same work. `make bench`; see README.md."""
