"""The parts of `benchmarks/scans.py`: how a data set is dealt, what is run, what was found, the report."""
