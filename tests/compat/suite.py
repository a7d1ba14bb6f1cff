"""The registry that the case modules of this folder share; run.py plays it."""

from lib.cases import Suite

suite = Suite("compat")
