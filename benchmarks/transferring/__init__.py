"""The parts of `benchmarks/transfer.py`: what is run, each run in a process, what was found, the report."""
