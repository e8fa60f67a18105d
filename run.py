"""Starts the application: ``python run.py --help``."""

from apizen.cli import main
from webapi import make_app

if __name__ == "__main__":
    main(make_app)
