"""Methods that only the benchmark needs: ``run.py --methods benchmarks.methods`` serves them as version 'bench'."""

import time

from apizen import ApiMethodBase, version
from demo import api_demo

__all__ = ["SLEEP_SECONDS", "SLEEP_TIMEOUT", "ApiMethodBench"]

SLEEP_SECONDS = 3.0
SLEEP_TIMEOUT = 1.0


def sleep() -> None:
    """Blocks its thread for longer than its timeout allows."""
    time.sleep(SLEEP_SECONDS)


@version("bench")
class ApiMethodBench(ApiMethodBase):
    api_methods = {  # noqa: RUF012 (an application's dict, as users write it)
        "matrix.api.set-user": {"func": api_demo.set_user},
        "bench.signed.set-user": {"func": api_demo.set_user, "run": "inline", "auth": "sign"},
        "bench.sleep": {"func": sleep, "timeout": SLEEP_TIMEOUT},
    }
