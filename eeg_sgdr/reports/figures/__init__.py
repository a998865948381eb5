"""Pictures made from tables and arrays."""
