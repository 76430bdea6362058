"""The originals' names as files: on the search path of processes that a program started which is run by us."""
