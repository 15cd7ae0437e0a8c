"""How `make docs` builds these pages: Sphinx, from Markdown, without the network."""

project = "fairlead"
copyright = "fairlead"  # noqa: A001
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_static"]
highlight_language = "text"  # blocks without a language are commands
myst_heading_anchors = 3  # a link may end in #a-heading
html_theme = "furo"
html_title = "fairlead"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
