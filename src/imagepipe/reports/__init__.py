"""Reports of a run: terminal, files, pages, and comparisons with other runs."""
