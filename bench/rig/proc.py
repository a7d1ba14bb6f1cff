"""Samples of /proc: what a process, its threads and a CPU used so far. A cost is the difference of two samples."""

import os

TICK_SECS = 1 / os.sysconf("SC_CLK_TCK")


def cpu_secs(pid):
    """User and system time of all threads, ended ones too. The kernel scales both to the exact run time."""
    return _stat_secs(f"/proc/{pid}/stat")


def thread_cpu_secs(pid):
    return {tid: _stat_secs(f"/proc/{pid}/task/{tid}/stat") for tid in os.listdir(f"/proc/{pid}/task")}


def _stat_secs(path):
    with open(path) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECS


def voluntary_switches(pid):
    """Times a thread gave up its CPU to wait."""
    return sum(_status(f"/proc/{pid}/task/{tid}/status", "voluntary_ctxt_switches")
               for tid in os.listdir(f"/proc/{pid}/task"))


def rss_bytes(pid):
    return _status(f"/proc/{pid}/status", "VmRSS") * 1024


def _status(path, name):
    with open(path) as status:
        for line in status:
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0])
    raise LookupError(f"{path} has no {name}")


def busy_secs(cpu):
    """Time this CPU did anything for anybody, stolen time included."""
    with open("/proc/stat") as stat:
        for line in stat:
            fields = line.split()
            if fields[0] == f"cpu{cpu}":
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
                return (user + nice + system + irq + softirq + steal) * TICK_SECS
    raise LookupError(f"no CPU {cpu}")


def machine():
    """One line for a report: processor, CPUs, kernel."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} CPUs, Linux {os.uname().release.split('-')[0]}"
