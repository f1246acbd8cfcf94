"""From the numbers of a test, and the logs of its training, to one HTML page."""
