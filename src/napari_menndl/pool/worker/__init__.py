"""What runs in a Dask worker, and in no other process."""
