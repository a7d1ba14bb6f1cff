#!/usr/bin/env bash
# Keeps everything else off the CPUs that Coldplate serves on.
#
# Why: a pinned core cannot step aside when the scheduler puts another process on its CPU, and every client of that
# core waits meanwhile. The change lasts until undo or reboot. It needs systemd and cgroup v2; Coldplate must run in
# a slice of its own, as systemd/coldplate.service does (Slice=coldplate.slice).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=steps.sh
source "$(dirname "$(readlink -f "$0")")/steps.sh"

readonly slices=(init.scope system.slice user.slice machine.slice)
readonly workqueues=/sys/devices/virtual/workqueue/cpumask

usage() {
  cat <<'TEXT'
usage: cpu-isolation.sh [--dry-run] apply CPUS    move everything but Coldplate off the CPUs
       cpu-isolation.sh [--dry-run] undo          let everything run everywhere again
       cpu-isolation.sh boot CPUS                 print the kernel parameters that isolate more, and change nothing
       cpu-isolation.sh status                    show what is set

CPUS is a list such as 2-7; at least one CPU must be left for everything else.
--dry-run says what would change and changes nothing.
TEXT
}

# The online CPUs that are not in the list, comma-separated.
others() {
  local cpu rest="" taken online
  online=$(online_cpus)
  taken=$(expand_cpus "$1" "$online")
  for cpu in $online; do
    [[ " $taken" = *" $cpu "* ]] || rest+="${rest:+,}$cpu"
  done
  [[ -n $rest ]] || refuse "CPUs $1 are all there are; leave at least one to everything else"
  printf '%s' "$rest"
}

need_systemd() {
  [[ $dry_run = yes ]] && return
  [[ -d /run/systemd/system ]] || refuse "systemd does not run here; isolate at boot instead: $(basename "$0") boot CPUS"
  grep -qsw cpuset /sys/fs/cgroup/cgroup.controllers ||
    refuse "the cpuset controller of cgroup v2 is not there; isolate at boot instead: $(basename "$0") boot CPUS"
}

apply() {
  local rest slice
  rest=$(others "$1")
  need_systemd
  for slice in "${slices[@]}"; do
    # --runtime: a mistake is gone after a reboot.
    run systemctl set-property --runtime "$slice" "AllowedCPUs=$rest"
  done
  if [[ -e $workqueues ]]; then
    change isolation "$workqueues" "$(mask_of "${rest//,/ }")"
  fi
  say "Coldplate may have CPUs $1: --cores $1"
}

undo() {
  local slice
  need_systemd
  for slice in "${slices[@]}"; do
    run systemctl set-property --runtime "$slice" AllowedCPUs=
  done
  undo_changes isolation
}

boot() {
  local rest
  rest=$(others "$1")
  cat <<TEXT
Add to the kernel's command line, then reboot; take it away again to undo:
  isolcpus=managed_irq,domain,$1 nohz_full=$1 rcu_nocbs=$1 irqaffinity=$rest
isolcpus takes the CPUs out of the scheduler's balancing, so only pinned threads run there: keep --pin on.
nohz_full stops the timer tick while one thread runs; it makes every system call a little slower.
rcu_nocbs and irqaffinity move the kernel's own callbacks and interrupts to CPUs $rest.
TEXT
}

status() {
  local slice
  if [[ -d /run/systemd/system ]]; then
    for slice in "${slices[@]}"; do say "$slice: $(systemctl show --value -p AllowedCPUs "$slice" 2>/dev/null)"; done
  fi
  say "workqueues: $(cat "$workqueues" 2>/dev/null || echo unknown)"
  say "isolated at boot: $(cat /sys/devices/system/cpu/isolated 2>/dev/null || echo unknown)"
}

if [[ ${1:-} = --dry-run ]]; then dry_run=yes && shift; fi
case "${1:-} $#" in
  "apply 2") need_root; apply "$2" ;;
  "undo 1") need_root; undo ;;
  "boot 2") boot "$2" ;;
  "status 1") status ;;
  "-h 1" | "--help 1") usage ;;
  *) usage >&2; exit 2 ;;
esac
