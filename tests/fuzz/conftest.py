"""The tests find what stands beside them, as `fuzz.py` does when it is called."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
