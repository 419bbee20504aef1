"""The experiments, one file each: `run(params, notebook)` is a generator of events that ends with a Result."""
