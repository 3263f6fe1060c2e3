"""Libraries: named formulas, ready to evaluate, and the folders that hold compiled ones."""

from fdif_dsl.compiler.library.library import Library
from fdif_dsl.compiler.library.load import from_modules, load_library

__all__ = ["Library", "from_modules", "load_library"]
