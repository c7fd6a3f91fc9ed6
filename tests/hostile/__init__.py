"""What someone who means harm, or a broken disk, may put where the program expects a file."""
