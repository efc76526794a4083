"""How Sphinx makes a site of these pages: ``make docs``.

The site is built twice, once for each language. English pages are those of this folder, Chinese
ones those of ``zh``, which are built with the tag ``zh`` into a folder ``zh`` of the same site. So
the two trees lie beside each other as they do here, and a relative link is right in both places.

The pages are written for a code host, and read there as they are. What only the site has stands in
``index.rst``, ``zh/index.rst`` and ``api``; what only the site does stands in ``_site``.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))

import minigrad  # noqa: E402

chinese = tags.has("zh")  # type: ignore[name-defined]  # noqa: F821  (Sphinx puts it there)

project = "minigrad"
author = "The minigrad contributors"
version = release = minigrad.__version__
language = "zh_CN" if chinese else "en"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "_site",
]
exclude_patterns = [] if chinese else ["_build", "_site", "zh"]
templates_path = [str(HERE / "_site" / "templates")]

myst_heading_anchors = 6  # a heading has the anchor that a code host gives it
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_fence_as_directive = ["math"]

autodoc_inherit_docstrings = False  # what a method of a subclass has to add, it says itself
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give shapes, which say more than "Tensor"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88

html_theme = "furo"
html_title = "minigrad"
html_static_path = [str(HERE / "_site" / "static")]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_domain_indices = False
html_use_index = not chinese
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "tango"
pygments_dark_style = "monokai"
