"""Benchmarks: they print `name_unit: value` lines, compare within one run, and judge nothing."""
