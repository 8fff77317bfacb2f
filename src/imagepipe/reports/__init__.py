"""What a run says of itself: on the terminal, in files and pages, and beside other runs."""
