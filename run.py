"""Starts the application: ``python run.py --help``."""

from apizen.cli import main
from webapi import AppSettings, make_app
from webapi.commands import kick, viewers

if __name__ == "__main__":
    main(make_app, AppSettings, [viewers, kick])
