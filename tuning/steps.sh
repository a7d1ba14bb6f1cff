# shellcheck shell=bash
# Sourced by the scripts beside it: every change is recorded before it is made, so that undo needs no memory of ours.
#
# The record lies under /run: a reboot undoes the changes and forgets the record together.

dry_run=no
record_root=${COLDPLATE_TUNING_RECORD:-/run/coldplate-tuning}

say() { printf '%s\n' "$*"; }

# Ends the script with a reason and, where there is one, a way out.
refuse() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

need_root() {
  [[ $dry_run = yes || $EUID -eq 0 ]] || refuse "this changes kernel settings: run it as root, or with --dry-run to see what it would do"
}

# expand_cpus 0-2,5 -> "0 1 2 5"; refuses what is no list, and CPUs that are not online.
expand_cpus() {
  local part first last cpu online=" $2 "
  [[ $1 =~ ^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$ ]] || refuse "\"$1\" is no list of CPUs; allowed: such as 0-3 or 0,2,4"
  for part in ${1//,/ }; do
    first=${part%-*} last=${part#*-}
    ((first <= last && last < 8192)) || refuse "\"$part\" is no range of CPUs"
    for ((cpu = first; cpu <= last; cpu++)); do
      [[ $2 = any || $online = *" $cpu "* ]] || refuse "CPU $cpu is not online; online are: ${2% }"
      printf '%s ' "$cpu"
    done
  done
}

online_cpus() { expand_cpus "$(cat /sys/devices/system/cpu/online)" any; }

# mask_of "0 1 5" -> 23, in groups of 32 bits with commas, as sysfs wants masks.
mask_of() {
  local -a words=(0)
  local cpu word mask=""
  for cpu in $1; do
    word=$((cpu / 32))
    while ((${#words[@]} <= word)); do words+=(0); done
    words[word]=$((words[word] | 1 << (cpu % 32)))
  done
  for ((word = ${#words[@]} - 1; word >= 0; word--)); do
    mask+=$(printf '%s%08x' "${mask:+,}" "${words[word]}")
  done
  printf '%s' "$mask"
}

# change RECORD FILE VALUE: writes the value after recording what was there. The first record of a file stands, so
# applying twice still undoes to the original. Prints a warning and goes on where the kernel refuses one file of many.
change() {
  local record=$record_root/$1 file=$2 value=$3 old
  old=$(cat "$file" 2>/dev/null) || { say "skip   $file: cannot be read"; return; }
  if [[ $dry_run = yes ]]; then
    say "would write $value to $file (now ${old:-empty})"
    return
  fi
  mkdir -p "$record_root"
  if ! { printf '%s\n' "$value" >"$file"; } 2>/dev/null; then
    say "skip   $file: the kernel does not take $value (managed by its driver?)"
    return
  fi
  grep -qsF "$file"$'\t' "$record" || printf '%s\t%s\n' "$file" "$old" >>"$record"
  say "wrote  $value to $file (was ${old:-empty})"
}

# undo_changes RECORD: writes every recorded value back.
undo_changes() {
  local record=$record_root/$1 file old
  if [[ ! -e $record ]]; then
    say "nothing to undo: no record $record"
    return
  fi
  while IFS=$'\t' read -r file old; do
    if [[ $dry_run = yes ]]; then
      say "would write ${old:-empty} back to $file"
    elif { printf '%s\n' "$old" >"$file"; } 2>/dev/null; then
      say "wrote  ${old:-empty} back to $file"
    else
      say "skip   $file: it does not take ${old:-empty} back"
    fi
  done <"$record"
  [[ $dry_run = yes ]] || rm -f "$record"
}

# run COMMAND...: runs it, or says it.
run() {
  if [[ $dry_run = yes ]]; then
    say "would run: $*"
  else
    say "run: $*"
    "$@"
  fi
}

need_interface() {
  [[ $1 =~ ^[A-Za-z0-9._@:-]+$ && $1 != .* ]] || refuse "\"$1\" is no interface name"
  [[ -d /sys/class/net/$1 ]] || refuse "there is no interface $1; there are: $(echo /sys/class/net/* | sed 's|/sys/class/net/||g')"
}
