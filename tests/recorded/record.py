"""``python -m tests.recorded.record``: writes the answers anew, and says which of them are others than before."""

import json
import sys
import tempfile
from pathlib import Path

from tests.recorded.answers import FILE, answers_of, recorded
from tests.recorded.cases import cases
from tests.recorded.servers import servers


def main() -> None:
    before = recorded() if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as asked:
        now = {case.name: answers_of(asked.ask(case), case, asked.apps) for case in cases(asked.apps)}
    lines = [f"{json.dumps(name)}: {json.dumps(answers, ensure_ascii=False)}" for name, answers in now.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    for name in [name for name in {**before, **now} if before.get(name) != now.get(name)]:
        what = "changed" if name in before and name in now else "gone" if name in before else "new"
        sys.stdout.write(f"{what}: {name}\n")
    sys.stdout.write(f"{len(now)} requests\n")


if __name__ == "__main__":
    main()
