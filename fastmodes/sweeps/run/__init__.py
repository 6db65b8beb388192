"""How a sweep's blocks are computed: in threads, processes, or on a cluster."""
