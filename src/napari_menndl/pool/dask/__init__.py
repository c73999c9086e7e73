"""Dask pool: job queue, dispatch of jobs as Dask tasks, and registry of workers."""
