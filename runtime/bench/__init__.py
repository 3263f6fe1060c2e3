"""Measures how fast volumes come on this machine: what `fdifc bench` prints.

`report.bench` runs it all. Every ratio comes from one run, in which the setups take turns round after round.
"""
