"""Settings of Sphinx for the site; `build.py` lays out the pages and calls it."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sdf_lexer import SdfLexer

project = "fdif-dsl"
author = "the fdif-dsl authors"
version = release = installed("fdif-dsl")
copyright = f"2026, {author}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "sphinx_copybutton"]
default_role = "code"  # docstrings have names in single backticks
highlight_language = "none"
smartquotes = False  # two dashes are an option

myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 4  # as GitHub makes them
suppress_warnings = ["myst.xref_not_included"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"fdif-dsl {release}"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#23588f", "color-brand-content": "#23588f"},
    "dark_css_variables": {"color-brand-primary": "#7fb2e6", "color-brand-content": "#7fb2e6"},
}
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True




def setup(app: Any) -> None:
    """Adds what no setting says."""
    app.add_lexer("sdf", SdfLexer)
    # Napoleon, at priority 500, takes the words before a colon for the type of an attribute. Ours have none.
    written: dict[str, list[str]] = {}

    def remember(_: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        if what in ("attribute", "property"):
            written[name] = list(lines)

    def restore(_: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = written.pop(name, lines)

    app.connect("autodoc-process-docstring", remember, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)
