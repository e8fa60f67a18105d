"""The commands of the command line, a module for each: they read options and print, and leave the work to others."""
