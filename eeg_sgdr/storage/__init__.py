"""What is on disk: files, folders, columns and records, results."""
