"""Sphinx's settings. `make docs` builds the pages that `site_pages.write` has put together."""

project = "metric_lightning"
author = "metric_lightning contributors"
copyright = "metric_lightning contributors"  # noqa: A001
extensions = ["myst_parser"]
exclude_patterns = ["measured", "examples"]
html_theme = "furo"
html_title = "metric_lightning"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
