"""All that knows the folder of a run: writing it, what is done there, and reading it again."""
