"""From a command line to mmengine's Runner: config, libraries, look before the run, processes."""
