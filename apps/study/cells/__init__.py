"""What one cell of a study does, by the functions that the commands use."""
