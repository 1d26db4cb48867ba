// The machine: what identifies it, its state, its cores, its clocks, and the lock on it.

#pragma once

#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "platform.h"
#include "protocol.hpp"
#include "text.hpp"

inline double seconds_of(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline double monotonic() { return seconds_of(CLOCK_MONOTONIC); }

inline void sleep_for(double seconds) {
  if (seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// The lines of /proc/cpuinfo: name and value.
inline std::vector<std::pair<string, string>> cpu_facts() {
  std::vector<std::pair<string, string>> facts;
  for (const string& line : split(read_text("/proc/cpuinfo"), '\n')) {
    const size_t colon = line.find(':');
    if (colon == string::npos) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    facts.emplace_back(line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1),
                       start == string::npos ? "" : line.substr(start));
  }
  return facts;
}

// What identifies the processor, see `runner.machine.cpu_model`.
inline string cpu_model() {
  std::map<string, string> known;
  Words makers, parts;
  for (const auto& [key, value] : cpu_facts()) {
    if (!value.empty()) known.emplace(key, value);
    if (key == "CPU implementer") makers.push_back(value);
    if (key == "CPU part") parts.push_back(value);
  }
  for (const string& name : {read_text("/proc/device-tree/model"), known["model name"],
                             known["Model"], known["Hardware"]})
    if (!name.empty()) return name;
  std::vector<std::pair<string, int>> counts;
  for (size_t each = 0; each < std::min(makers.size(), parts.size()); each++) {
    const string part = makers[each] + ":" + parts[each];
    auto found = std::find_if(counts.begin(), counts.end(),
                              [&](const auto& count) { return count.first == part; });
    if (found == counts.end()) counts.emplace_back(part, 1);
    else found->second++;
  }
  string listed;
  for (const auto& [part, count] : counts)
    listed += (listed.empty() ? "Arm " : ", ") + std::to_string(count) + " × " + part;
  return listed;
}

// The widest vector instructions of all cores, see `runner.machine.widest_vectors`.
inline string widest_vectors() {
  std::vector<Words> cores;
  for (const auto& [key, value] : cpu_facts())
    if (key == "flags" || key == "Features") cores.push_back(words_of(value));
  for (const char* name : kVectors)
    if (!cores.empty() && std::all_of(cores.begin(), cores.end(), [name](const Words& core) {
          return std::find(core.begin(), core.end(), name) != core.end();
        }))
      return name;
  return "";
}

inline Numbers allowed_cores() {
  cpu_set_t set;
  Numbers cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; core++)
      if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

// See `cores.usable_cores`, here for cgroups v2 as a container sees them.
inline size_t usable_cores() {
  const size_t cores = std::max<size_t>(allowed_cores().size(), 1);
  const Words quota = words_of(read_text("/sys/fs/cgroup/cpu.max"));
  if (quota.size() != 2 || quota[0] == "max") return cores;
  return std::clamp<size_t>(static_cast<size_t>(to_double(quota[0]) / to_double(quota[1])), 1, cores);
}

inline string governor() {
  const string text = read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  return text.empty() ? "unknown" : text;
}

// The files that match patterns of paths under /, see `runner.conditions.read_files`.
inline string read_files(const Words& patterns) {
  string files;
  for (const string& pattern : patterns) {
    glob_t found{};
    if (glob(("/" + pattern).c_str(), 0, nullptr, &found) == 0)
      for (size_t each = 0; each < found.gl_pathc; each++) {
        string text = read_text(found.gl_pathv[each]).substr(0, kMaxCharacters);
        if (text.empty()) continue;  // Android hides many files, and others answer "no data"
        for (char& character : text)
          if (static_cast<unsigned char>(character) > '~') character = '?';
        files += (files.empty() ? "" : ", ") + quote(found.gl_pathv[each] + 1) + ": " +
                 quote(text);
      }
    globfree(&found);
  }
  return ", \"files\": {" + files + "}";
}

// Whether the kernel has pages of 2 MiB for `memory.hpp`.
inline bool has_huge_pages() {
  const string modes = read_text("/sys/kernel/mm/transparent_hugepage/enabled");
  return modes.find("[madvise]") != string::npos || modes.find("[always]") != string::npos;
}

inline string machine() {
  utsname system{};
  uname(&system);
  const string cpu = cpu_model();
  double load = 0.0;
  if (getloadavg(&load, 1) != 1) load = 0.0;  // as on Android
  const double bytes = static_cast<double>(sysconf(_SC_PAGESIZE)) *
                       static_cast<double>(sysconf(_SC_PHYS_PAGES));
  return "{\"engine\": " + quote(NCNN_VERSION_STRING) +
         ", \"cpu\": " + quote(cpu.empty() ? system.machine : cpu) +
         ", \"cores\": " + std::to_string(usable_cores()) +
         ", \"memory_gib\": " + format("%.1f", bytes / (1 << 30)) + ", \"system\": " +
         quote(string(system.sysname) + " " + system.release + " " + system.machine) +
         ", \"python\": \"\", \"governor\": " + quote(governor()) + ", \"load\": " + format("%.2f", load) +
         ", \"huge_pages\": " + (has_huge_pages() ? "true" : "false") +
         ", \"vectors\": " + quote(widest_vectors()) + "}";
}

inline void pin(const Numbers& cores) {
  if (cores.empty()) return;
  const auto list = [](const Numbers& numbers) {
    string text;
    for (const int each : numbers) text += (text.empty() ? "" : ",") + std::to_string(each);
    return text;
  };
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores)
    if (core >= 0 && core < CPU_SETSIZE) CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    throw std::runtime_error("cores " + list(cores) + " cannot be used: this device has " +
                             list(allowed_cores()));
}

// The lock that measurements on this machine share, see `runner/lock.py`: the same two files.
class DeviceLock {
 public:
  // Takes the lock; nested requests do nothing.
  void acquire(const string& mode) {
    if (mode != "exclusive" && mode != "shared")
      throw std::runtime_error("the lock is exclusive or shared, not '" + mode + "'");
    const bool exclusive = mode == "exclusive";
    if (held_) {
      if (exclusive && !exclusive_) throw std::runtime_error("the lock is held in shared mode");
      return;
    }
    const string folder = lock_folder();
    gate_ = open_file(folder + "/gate");
    machine_ = open_file(folder + "/machine");
    exclusive_ = exclusive;
    const double since = monotonic();
    bool at_gate = false, told = false;
    while (true) {
      at_gate = at_gate || flock(gate_, LOCK_EX | LOCK_NB) == 0;
      if (at_gate && flock(machine_, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) break;
      if (!told && monotonic() - since >= kSecondsBeforeTelling) {
        told = true;
        answer_message("waiting", describe_holder());
      }
      sleep_for(kSecondsBetweenAttempts);
    }
    held_ = true;
    write_pid(exclusive);
    flock(gate_, LOCK_UN);
  }

  void release() {
    if (!held_) return;
    if (exclusive_) write_pid(false);
    close(machine_);
    close(gate_);
    held_ = false;
  }

 private:
  static constexpr double kSecondsBeforeTelling = 1.0;
  static constexpr double kSecondsBetweenAttempts = 0.05;

  // The first folder that can be written to, in the order of Python's `tempfile`; then Android's.
  static string temporary_folder() {
    for (const char* name : {"TMPDIR", "TEMP", "TMP"})
      if (const char* folder = getenv(name); folder && is_usable(folder)) return folder;
    for (const char* folder : {"/tmp", "/var/tmp", "/usr/tmp", "/data/local/tmp"})
      if (is_usable(folder)) return folder;
    throw std::runtime_error("no temporary folder can be written to; set TMPDIR");
  }

  static bool is_usable(const char* folder) {
    struct stat found{};
    return stat(folder, &found) == 0 && S_ISDIR(found.st_mode) && access(folder, W_OK | X_OK) == 0;
  }

  static string lock_folder() {
    const string folder = temporary_folder() + "/gnv2-nas-" + std::to_string(getuid());
    struct stat found{};
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      throw std::runtime_error("cannot make '" + folder + "': " + strerror(errno) + "; set TMPDIR");
    if (lstat(folder.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != getuid())
      throw std::runtime_error("'" + folder + "' must be a folder of this user's own; set TMPDIR");
    return folder;
  }

  static int open_file(const string& path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
      throw std::runtime_error("cannot open '" + path + "': " + strerror(errno) + "; set TMPDIR");
    return file;
  }

  string describe_holder() const {
    char pid[21] = "";
    const bool measures = pread(machine_, pid, 20, 0) > 0;
    return "another gnv2-nas on this machine " +
           (measures ? "is measuring (pid " + string(pid) + ")" : string("is scoring networks")) +
           "; waiting";
  }

  // Records who measures; a full disk must not prevent a measurement.
  void write_pid(bool measures) const {
    const string pid = measures ? std::to_string(getpid()) : "";
    if (ftruncate(machine_, 0) != 0 || pwrite(machine_, pid.data(), pid.size(), 0) < 0) return;
  }

  int gate_ = -1, machine_ = -1;
  bool held_ = false, exclusive_ = false;
};
