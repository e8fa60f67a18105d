"""Where calls are counted and claims are kept: memory, a file, Redis; no guard, no request and no error of the API."""
