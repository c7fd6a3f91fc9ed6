"""Where the halves meet: the command line, the demo, reports and the studio in the browser."""
