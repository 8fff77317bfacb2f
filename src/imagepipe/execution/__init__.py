"""The life of a run, from its checks and its Ray session to its end; and a sweep of runs."""
