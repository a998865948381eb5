"""What other libraries take and give: schedules in their loops, results in their form; one file a library."""
