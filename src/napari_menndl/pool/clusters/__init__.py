"""Where Dask workers come from: one module per kind of cluster, all of one shape (`cluster.Cluster`)."""
