#!/usr/bin/env bash
# Puts the interrupts of a network card on chosen CPUs, one after the other.
#
# Why: a packet's interrupt, and most of its TCP work, run on the CPU that its queue's interrupt goes to. Spread over
# the serving CPUs, they share the load evenly; put beside them, they leave the serving CPUs to serve.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=steps.sh
source "$(dirname "$(readlink -f "$0")")/steps.sh"

usage() {
  cat <<'TEXT'
usage: irq-affinity.sh [--dry-run] apply INTERFACE CPUS    spread the interface's interrupts over the CPUs
       irq-affinity.sh [--dry-run] undo INTERFACE          put them where they were
       irq-affinity.sh status INTERFACE                    show where they go

CPUS is a list such as 0-3 or 0,2,4. --dry-run says what would change and changes nothing.
irqbalance would move the interrupts again: stop it first (systemctl stop irqbalance).
TEXT
}

# The interrupt numbers of an interface: what its PCI device owns, or else what /proc/interrupts names after it. Those
# of no queue (a change of the link's state) stay where they are.
interrupts_of() {
  local interface=$1 device owned=""
  device=$(readlink -f "/sys/class/net/$interface/device" 2>/dev/null) || device=""
  [[ -n $device && -d $device ]] || refuse "$interface has no device behind it, so it has no interrupts to move"
  owned=$(find "$device/msi_irqs" "$device/../msi_irqs" -mindepth 1 -printf '%f ' 2>/dev/null) || true
  awk -v owned=" $owned" -v a="$interface" -v b="$(basename "$device")" '
    { number = $1; sub(/:$/, "", number); who = $NF }
    who ~ /-(config|event)$/ { next }
    index(owned, " " number " ") || who == a || who == b || index(who, a "-") == 1 || index(who, b "-") == 1 { print number }
  ' /proc/interrupts
}

apply() {
  local interface=$1 irq next=0 irqs list
  local -a cpus
  list=$(expand_cpus "$2" "$(online_cpus)")
  read -ra cpus <<<"$list"
  irqs=$(interrupts_of "$interface")
  [[ -n $irqs ]] || refuse "$interface has no interrupts of its own: its driver shares them or polls"
  if [[ $dry_run = no ]] && pidof irqbalance >/dev/null 2>&1; then
    refuse "irqbalance is running and would move them again: systemctl stop irqbalance, then retry"
  fi
  for irq in $irqs; do
    change "irq-$interface" "/proc/irq/$irq/smp_affinity_list" "${cpus[next++ % ${#cpus[@]}]}"
  done
}

status() {
  local irq irqs
  irqs=$(interrupts_of "$1")
  for irq in $irqs; do
    say "irq $irq: CPUs $(cat "/proc/irq/$irq/smp_affinity_list" 2>/dev/null || echo unknown)"
  done
}

if [[ ${1:-} = --dry-run ]]; then dry_run=yes && shift; fi
case "${1:-} $#" in
  "apply 3") need_root; need_interface "$2"; apply "$2" "$3" ;;
  "undo 2") need_root; need_interface "$2"; undo_changes "irq-$2" ;;
  "status 2") need_interface "$2"; status "$2" ;;
  "-h 1" | "--help 1") usage ;;
  *) usage >&2; exit 2 ;;
esac
