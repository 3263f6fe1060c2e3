"""The scripts of `benchmarks/` find what stands beside them, as when they are called from there."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
