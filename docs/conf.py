"""Configuration of Sphinx, which builds the documentation by `tox -e docs`.

The source folder is the whole checkout: pages of docs/ and results/ link to each other as they do on a forge, and links
to other files are downloads.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_sphinx")]

project = "keras-family-bench"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
root_doc = "docs/index"
include_patterns = ["docs/**", "results/**.md", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [".*", "build", "dist", "tests", "bench", "search_spaces"]

extensions = ["myst_parser", "sphinx.ext.napoleon", "autoapi.extension", "command_line", "links"]
smartquotes_action = "D"  # dashes only: Sphinx writes -- between the name of an argument and its meaning
default_role = "code"  # `name` in docstrings
myst_heading_anchors = 5  # a report's headings are link targets

# Docstrings are read from the code without importing it, since that would import TensorFlow.
autoapi_dirs = [str(ROOT / "bench"), str(ROOT / "search_spaces")]
autoapi_generate_api_docs = False  # docs/python_api.md names what is shown
autoapi_python_class_content = "class"
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
# Of constants and lazy attributes, which the pages do not show.
suppress_warnings = ["autoapi.python_import_resolution"]

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_extra_path = ["_root"]  # leads from the root of the built site to docs/
