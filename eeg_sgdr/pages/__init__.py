"""Reports as pages of HTML, made from the results folder alone."""
