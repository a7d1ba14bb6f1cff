"""Owns what the comparisons share: starting servers, sampling /proc, running the load generator, tables.
Knows Linux's /proc and perf, and the command lines of the servers compared.
Must never know what a result should be: it measures and prints, and its callers judge.
Read first: servers.py, then measure.py.
"""
