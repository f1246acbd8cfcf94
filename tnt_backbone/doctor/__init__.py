"""Looks at the environment and the machine, and names the command that fixes each problem.

What stands here needs neither torch nor any other library: it has to work where they are broken.
"""
