"""The pool on Dask distributed: jobs, the tasks that carry them, and the workers that run these."""
