"""The operating system: files, paths, processes, the environment, time limits and the debug log."""
