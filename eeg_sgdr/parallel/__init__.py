"""Worker processes, clusters, progress and interruptions."""
