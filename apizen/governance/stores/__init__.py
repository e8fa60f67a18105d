"""Where calls are counted and claims are kept: memory, a file, Redis; why, only guards know."""
