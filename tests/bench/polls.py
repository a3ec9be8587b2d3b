"""Watches the polls of the service: polls.py PID SECONDS. Prints {"polls": [ms], "cpu": ms}.

A poll is the time in which the service holds more pipes than at rest: those to the program at the forge, or to an ssh
process. They are looked for each half millisecond. CPU is that of the service's control group, the master connections of
ssh included.
"""

import json
import os
import sys
import time

pid, seconds = sys.argv[1], float(sys.argv[2])
descriptors = "/proc/%s/fd" % pid
group = open("/proc/%s/cgroup" % pid).read().split("0::")[1].strip()
# The unified hierarchy is mounted alone, or beside those of the first version.
mounted = "/sys/fs/cgroup/unified" if os.path.exists("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"


def cpu():
    for line in open("%s%s/cpu.stat" % (mounted, group)):
        if line.startswith("usage_usec"):
            return int(line.split()[1]) / 1000


def pipes():
    found = 0
    for name in os.listdir(descriptors):
        try:
            found += os.readlink("%s/%s" % (descriptors, name)).startswith("pipe:")
        except OSError:
            pass
    return found


# At rest are the fewest that are seen in some seconds.
rest, ends = pipes(), time.monotonic() + 2
while time.monotonic() < ends:
    rest = min(rest, pipes())
    time.sleep(0.01)

began, polls = None, []
first, ends = cpu(), time.monotonic() + seconds
while time.monotonic() < ends:
    at_work, now = pipes() > rest, time.monotonic()
    if at_work and began is None:
        began = now
    elif not at_work and began is not None:
        polls.append((now - began) * 1000)
        began = None
    time.sleep(0.0005)
json.dump({"polls": polls, "cpu": cpu() - first}, sys.stdout)
