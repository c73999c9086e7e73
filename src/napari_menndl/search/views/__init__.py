"""Views of a search for docks, notebook and command line, read from the run folder alone."""
