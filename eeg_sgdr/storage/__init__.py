"""What is on disk: files, folders, schemas, results."""
