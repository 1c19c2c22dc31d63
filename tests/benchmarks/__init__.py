"""Measurements that are made by hand: each file is a script with a page of its name in results/benchmarks."""
