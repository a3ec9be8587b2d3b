"""Runs commands in turns and says what each run took.

Reads from standard input {"rounds": N, "ways": [{"name", "argv", "stdin", "each", "rest", "codes"}]} and prints
{NAME: {"wall": [ms], "cpu": [ms], "rss": [kB]}}. A figure is that of one run; a way that takes little time is run
`each` times for one figure; before a figure it rests `rest` seconds. CPU and memory are those of the command and of all children that it waited for.
"""

import json
import os
import sys
import time

asked = json.load(sys.stdin)
found = {way["name"]: {"wall": [], "cpu": [], "rss": []} for way in asked["ways"]}


def run(way):
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, way.get("stdin") or "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/tmp/said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    pid = os.posix_spawnp(way["argv"][0], way["argv"], os.environ, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in way.get("codes", [0]):
        sys.exit("%s ended with %s: %s" % (way["argv"], code, open("/tmp/said").read()))
    return used


for number in range(asked["rounds"]):
    ways = asked["ways"]
    for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
        each = way.get("each", 1)
        cpu = rss = 0
        time.sleep(way.get("rest", 0))
        begun = time.monotonic()
        for _ in range(each):
            used = run(way)
            cpu += used.ru_utime + used.ru_stime
            rss = max(rss, used.ru_maxrss)
        took = time.monotonic() - begun
        found[way["name"]]["wall"].append(took * 1000 / each)
        found[way["name"]]["cpu"].append(cpu * 1000 / each)
        found[way["name"]]["rss"].append(rss)
json.dump(found, sys.stdout)
