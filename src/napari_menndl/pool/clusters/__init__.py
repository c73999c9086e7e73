"""Sources of Dask workers: one module per kind of cluster, with a common interface (`cluster.Cluster`)."""
