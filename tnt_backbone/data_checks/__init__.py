"""Checks that find what is wrong with a data set before training."""
