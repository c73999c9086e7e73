"""What views show of a search, all of it read from the run folder: docks, notebook and command line alike."""
