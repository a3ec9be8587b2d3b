"""Watches the polls of the service: polls.py PID SECONDS. Prints {"polls": [ms], "cpu": ms}.

A poll is the life of an ssh process that the service has started and that ends; it is looked for each half millisecond.
CPU is that of the service's control group, the master connections of ssh included.
"""

import json
import os
import sys
import time

pid, seconds = sys.argv[1], float(sys.argv[2])
tasks = "/proc/%s/task" % pid
group = open("/proc/%s/cgroup" % pid).read().split("0::")[1].strip()
# The unified hierarchy is mounted alone, or beside those of the first version.
mounted = "/sys/fs/cgroup/unified" if os.path.exists("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"


def cpu():
    for line in open("%s%s/cpu.stat" % (mounted, group)):
        if line.startswith("usage_usec"):
            return int(line.split()[1]) / 1000


def children():
    found = set()
    for task in os.listdir(tasks):
        try:
            found.update(open("%s/%s/children" % (tasks, task)).read().split())
        except OSError:
            pass
    return found


known = children()
alive, polls = {}, []
first, ends = cpu(), time.monotonic() + seconds
while time.monotonic() < ends:
    seen, now = children(), time.monotonic()
    for child in seen - known - alive.keys():
        alive[child] = now
    for child in alive.keys() - seen:
        polls.append((now - alive.pop(child)) * 1000)
    time.sleep(0.0005)
json.dump({"polls": polls, "cpu": cpu() - first}, sys.stdout)
