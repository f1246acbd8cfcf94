"""A page on which one drops a picture and sees what a model says about it."""
