#!/usr/bin/env bash
# Gives a network card one queue for each serving CPU, and each CPU its own transmit queue.
#
# Why: with fewer queues than CPUs, cores wait for one another's queue lock when they send, and one CPU receives for
# several. With a card that has too few receive queues, RPS spreads the received packets in software instead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=steps.sh
source "$(dirname "$(readlink -f "$0")")/steps.sh"

usage() {
  cat <<'TEXT'
usage: nic-queues.sh [--dry-run] apply INTERFACE CPUS    as many queues as CPUs, each CPU sending on its own
       nic-queues.sh [--dry-run] undo INTERFACE          back to what it was
       nic-queues.sh status INTERFACE                    show queues and their CPUs

CPUS is a list such as 0-3 or 0,2,4. --dry-run says what would change and changes nothing.
Changing the number of queues resets most cards: established connections pause for a moment.
TEXT
}

# channels INTERFACE maximums|current -> the number of combined queues, or nothing where the driver has none.
channels() {
  command -v ethtool >/dev/null || return 0
  { ethtool -l "$1" 2>/dev/null || true; } | awk -v part="$2" '
    /maximums:/ { now = "maximums" } /Current/ { now = "current" }
    /^Combined:/ && now == part && $2 ~ /^[0-9]+$/ { print $2; exit }
  '
}

set_queues() {
  local interface=$1 wanted=$2 most current
  most=$(channels "$interface" maximums) current=$(channels "$interface" current)
  if [[ -z $most || -z $current ]]; then
    command -v ethtool >/dev/null || { say "skip   number of queues: ethtool is not installed"; return; }
    say "skip   number of queues: the driver of $interface does not let it be set"
    return
  fi
  if ((wanted > most)); then
    say "note   $interface has at most $most queues for $wanted CPUs"
    wanted=$most
  fi
  if ((wanted == current)); then
    say "keep   $current queues"
    return
  fi
  if [[ $dry_run = no ]]; then
    mkdir -p "$record_root"
    [[ -e $record_root/queues-$interface ]] || printf '%s\n' "$current" >"$record_root/queues-$interface"
  fi
  run ethtool -L "$interface" combined "$wanted"
}

apply() {
  local interface=$1 all list queue next=0 dir=/sys/class/net/$1/queues
  local -a cpus sends receives
  list=$(expand_cpus "$2" "$(online_cpus)")
  read -ra cpus <<<"$list"
  all=$(mask_of "${cpus[*]}")
  [[ -e /sys/class/net/$interface/device ]] || refuse "$interface has no device behind it, so it has no queues to tune"
  set_queues "$interface" "${#cpus[@]}"
  mapfile -t sends < <(find "$dir" -maxdepth 1 -name 'tx-*' | sort -V)
  mapfile -t receives < <(find "$dir" -maxdepth 1 -name 'rx-*' | sort -V)
  # The kernel refuses XPS on a single queue, rightly: every CPU sends on it anyway.
  if ((${#sends[@]} > 1)); then
    for queue in "${sends[@]}"; do
      change "nic-$interface" "$queue/xps_cpus" "$(mask_of "${cpus[next++ % ${#cpus[@]}]}")"
    done
  else
    say "keep   one transmit queue: there is nothing to share out"
  fi
  if ((${#receives[@]} < ${#cpus[@]})); then
    for queue in "${receives[@]}"; do change "nic-$interface" "$queue/rps_cpus" "$all"; done
  fi
}

undo() {
  local interface=$1 record=$record_root/queues-$1 count
  undo_changes "nic-$interface"
  if [[ -e $record ]]; then
    read -r count <"$record"
    run ethtool -L "$interface" combined "$count"
    [[ $dry_run = yes ]] || rm -f "$record"
  fi
}

status() {
  local file current most
  current=$(channels "$1" current) most=$(channels "$1" maximums)
  say "queues: ${current:-unknown} of at most ${most:-unknown}"
  for file in /sys/class/net/"$1"/queues/*/{xps,rps}_cpus; do
    [[ -e $file ]] && say "${file#/sys/class/net/}: $(cat "$file" 2>/dev/null || echo 'not supported')"
  done
}

if [[ ${1:-} = --dry-run ]]; then dry_run=yes && shift; fi
case "${1:-} $#" in
  "apply 3") need_root; need_interface "$2"; apply "$2" "$3" ;;
  "undo 2") need_root; need_interface "$2"; undo "$2" ;;
  "status 2") need_interface "$2"; status "$2" ;;
  "-h 1" | "--help 1") usage ;;
  *) usage >&2; exit 2 ;;
esac
