#!/usr/bin/env python3
"""Runs test programs several at a time. `cargo test` runs them one after the other, and ours mostly wait: for
a host to boot, for a unit to be steady, for a limit to fill.

    tests/side_by_side.py LOGS <TASKS

A line of TASKS is the name of a group, a tab, and a command. Of a `cargo test …` the programs are built, and
each of them is a task; any other command is a task as it stands. What a task prints is shown when the task has
ended, and added to LOGS/GROUP.log. Whoever counts failures needs no exit code: a task whose output does not show how
it ended (it was killed, or left before its summary) gets a line of a failure. Exit: 0 all tasks were run, 1 a program was not built.

LOGS/../durations.json keeps how long each task took, so that the next run begins with the longest.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

# More than the processors, as the tasks mostly wait: measured with 2, 3, 4, 5 and 6 on two processors.
AT_ONCE = 2 * (os.cpu_count() or 1)

# The exit code of packaging/check.sh where a check was skipped and none has failed.
SKIPPED = 3


def is_told(tests, code, text):
    """Whether the caller, who counts lines, sees from this output how a task has ended."""
    if tests:
        well = code == 0 and re.search(r"^test result: ok", text, re.MULTILINE)
        return well or re.search(r"^test result: FAILED", text, re.MULTILINE)
    return code in (0, SKIPPED) or re.search(r"^FAIL ", text, re.MULTILINE)


def programs(command):
    """Builds the test programs of a `cargo test` command; returns (name, directory, command, whether tests) of each."""
    cargo, _, options = command.partition(" -- ")
    built = subprocess.run(
        shlex.split(cargo) + ["--no-run", "--message-format=json-render-diagnostics"],
        stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        sys.exit(f"does not build: {cargo}")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["profile"]["test"]:
            directory = os.path.dirname(message["manifest_path"])
            name = f"{os.path.basename(directory)}/{message['target']['name']}"
            yield name, directory, [message["executable"], *shlex.split(options)], True


class Runner:
    """The logs, and one task's output at a time on the terminal."""

    def __init__(self, logs):
        self.logs = logs
        self.durations = logs.parent / "durations.json"
        try:
            self.known = json.loads(self.durations.read_text())
        except (OSError, ValueError):
            self.known = {}
        self.lock = Lock()

    def run(self, task):
        """Runs one task and shows its output."""
        group, name, directory, command, tests = task
        begun = time.monotonic()
        ended = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False)
        took = time.monotonic() - begun
        text = ended.stdout.decode(errors="replace")
        if not is_told(tests, ended.returncode, text):
            text += (f"\nFAIL  {name}: exit code {ended.returncode}\n"
                     "test result: FAILED. 0 passed; 1 failed; 0 ignored\n")
        with self.lock:
            self.known[name] = round(took, 1)
            print(f"\n-- {group}: {name} ({took:.1f} s)\n{text}", end="", flush=True)
            with open(self.logs / f"{group}.log", "a", encoding="utf-8") as log:
                log.write(text)


def main():
    """Builds everything, then runs everything."""
    runner = Runner(Path(sys.argv[1]))
    tasks = []
    for line in sys.stdin.read().splitlines():
        group, command = line.split("\t", 1)
        if command.startswith("cargo test "):
            tasks += [(group, *program) for program in programs(command)]
        else:
            tasks.append((group, command, os.getcwd(), shlex.split(command), False))
    # A task that no run has measured may be the longest.
    tasks.sort(key=lambda task: -runner.known.get(task[1], float("inf")))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(runner.run, tasks))
    runner.durations.write_text(json.dumps(runner.known, indent=1, sort_keys=True))


main()
