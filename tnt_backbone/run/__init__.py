"""From a command line to mmengine's Runner: config, libraries, checks before the run, processes."""
