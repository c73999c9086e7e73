"""Code that runs only in Dask workers."""
