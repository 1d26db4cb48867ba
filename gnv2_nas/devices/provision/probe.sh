# Prints facts about a device, "name<tab>value" lines between "probe" and "end". It needs a POSIX sh
# (dash, bash, busybox, mksh), changes nothing, and leaves out what the device does not tell.
LC_ALL=C
export LC_ALL

say() { [ -z "$2" ] || printf '%s\t%s\n' "$1" "$2"; }
word() { value=-; { read -r value < "$1"; } 2>/dev/null; [ -n "$value" ] || value=-; }
each() { while IFS= read -r line; do say "$1" "$line"; done; }

printf 'probe\t1\n'
say system "$(uname -s)"
say release "$(uname -r)"
say machine "$(uname -m)"
say bits "$(getconf LONG_BIT 2>/dev/null)"
grep '^PRETTY_NAME=' /etc/os-release 2>/dev/null | each os
say android "$(getprop ro.build.version.release 2>/dev/null)"
say sdk "$(getprop ro.build.version.sdk 2>/dev/null)"
say board "$(getprop ro.product.model 2>/dev/null)"
say board "$({ tr -d '\000' < /proc/device-tree/model; } 2>/dev/null)"
say glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
ldd --version 2>&1 </dev/null | head -n 2 | each ldd

grep -E '^(processor|model name|CPU implementer|CPU part|Hardware|Model)[[:space:]]*:' \
  /proc/cpuinfo 2>/dev/null | tr '\t' ' ' | each cpuinfo
for folder in /sys/devices/system/cpu/cpu[0-9]*; do
  [ -d "$folder" ] || continue
  core=${folder##*/cpu}
  word "$folder/cpufreq/cpuinfo_max_freq"; core="$core $value"
  word "$folder/cpu_capacity"; core="$core $value"
  word "$folder/cpufreq/scaling_governor"; say core "$core $value"
done
grep '^Cpus_allowed_list:' /proc/self/status 2>/dev/null | tr -d '\t ' | each allowed
grep '^MemTotal:' /proc/meminfo 2>/dev/null | each memory
{ df -Pk . || df -k .; } 2>/dev/null | tail -n 1 | each disk

for name in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
  command -v "$name" >/dev/null 2>&1 || continue
  "$name" -c '
import platform, struct, sys
def version(name):
    try:
        from importlib.metadata import version
        return version(name)
    except Exception:
        return "-"
def has(name):
    try:
        from importlib.util import find_spec
        return "yes" if find_spec(name) else "no"
    except Exception:
        return "no"
print("\t".join(["python", sys.executable or "-", platform.python_version(),
    platform.python_implementation(), str(8 * struct.calcsize("P")),
    has("venv"), has("ensurepip"), version("pip")]))' 2>/dev/null </dev/null
done
printf 'end\t\n'
