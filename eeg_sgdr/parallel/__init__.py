"""Worker processes, clusters, progress, interruptions and standard streams."""
