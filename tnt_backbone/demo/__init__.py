"""The data set that the project makes itself, and the report of a training run on it."""
