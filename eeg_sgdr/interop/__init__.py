"""The schedules inside other libraries' training loops, one file a library."""
