// The native runner: it loads and times ncnn networks on a device that needs no Python.
//
// It speaks the protocol of `runner/serve.py` and times calls as `runner/rounds.py` does. The
// program that `build.py` makes of it is linked statically, so it needs nothing but a Linux kernel.

#include <poll.h>
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "machine.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "protocol.hpp"
#include "text.hpp"

namespace {

constexpr size_t kThreadStack = 8 << 20;  // the default of musl, 128 KiB, is too small for ncnn

struct Options {
  int threads = 1;
  string precision = "fp32";
  Numbers cores;
  double pace = 0.0;  // seconds from the start of a call to the start of the next
};

// The lines of the input as they come. At its end, or in silence, it ends the process: the main
// thread may be in the middle of an inference, which nobody waits for any more.
class Input {
 public:
  Input() { std::thread([this] { listen(); }).detach(); }

  string next() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return !lines_.empty(); });
    string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }

 private:
  void listen() {
    string rest;
    char received[1 << 14];
    pollfd input{0, POLLIN, 0};
    while (poll(&input, 1, kSilenceMs) > 0) {
      const ssize_t count = read(0, received, sizeof received);
      if (count <= 0) break;
      rest.append(received, static_cast<size_t>(count));
      for (size_t end; (end = rest.find('\n')) != string::npos; rest.erase(0, end + 1)) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(rest.substr(0, end));
        came_.notify_one();
      }
    }
    _exit(0);
  }

  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<string> lines_;
};

// The networks of one host, see `runner.serve.Runner`.
class Runner {
 public:
  explicit Runner(const Options& options) : options_(options) {}

  // Carries out one command and writes its answers.
  void carry_out(const Words& words) {
    const auto word = [&](size_t number) -> const string& {
      if (number < words.size()) return words[number];
      throw std::runtime_error("'" + words[0] + "' lacks words");
    };
    const string& command = words[0];
    if (command == "network") {
      files_[to_int(word(1))] = Words(words.begin() + 2, words.end());
    } else if (command == "image") {
      images_[to_int(word(1))] = read_image(to_int(word(1)), word(2));
    } else if (command == "load") {
      load(to_int(word(1)));
    } else if (command == "session") {
      run_session(to_double(word(1)), to_numbers(word(2)), split(word(3), ';'));
    } else if (command == "lock") {
      lock_.acquire(word(1));
      answer("locked");
    } else if (command == "unlock") {
      lock_.release();
      answer("unlocked");
    } else if (command == "conditions") {
      answer("conditions", read_files(Words(words.begin() + 1, words.end())));
    } else if (command == "forget") {
      files_.clear();
      fresh_.clear();
    } else if (command != "alive") {
      throw Refused("the runner knows no command '" + command + "'");
    }
  }

 private:
  using SessionPointer = std::unique_ptr<Session>;

  static std::vector<float> read_image(int side, const string& path) {
    const string bytes = read_bytes(path);
    const size_t expected = sizeof(float) * 3 * static_cast<size_t>(side) * static_cast<size_t>(side);
    if (side < 1 || bytes.size() != expected)
      throw std::runtime_error("'" + path + "' is no image of side " + std::to_string(side));
    std::vector<float> pixels(bytes.size() / sizeof(float));
    memcpy(pixels.data(), bytes.data(), bytes.size());
    return pixels;
  }

  SessionPointer open(int number) const {
    const auto files = files_.find(number);
    if (files == files_.end())
      throw std::runtime_error("there is no network " + std::to_string(number));
    return std::make_unique<Session>(
        files->second, options_.threads, options_.precision,
        [this](int side) -> const std::vector<float>& {
          const auto image = images_.find(side);
          if (image == images_.end())
            throw Refused("the runner has no image of side " + std::to_string(side));
          return image->second;
        });
  }

  void load(int number) {
    SessionPointer session = open(number);
    const ncnn::Mat logits = session->run();
    string list;
    for (int each = 0; each < logits.w; each++) {
      if (!std::isfinite(logits[each])) throw Refused("ncnn computes logits that are not finite");
      list += (each ? ", " : "") + format("%.9g", logits[each]);
    }
    fresh_[number] = std::move(session);
    answer("loaded", ", \"logits\": [" + list + "]");
  }

  // The first session takes over what `load` loaded.
  SessionPointer take(int number) {
    if (auto node = fresh_.extract(number)) return std::move(node.mapped());
    SessionPointer session = open(number);
    answer("read");  // the host waits only so long for an answer
    return session;
  }

  // See `rounds.run_session`.
  void run_session(double seconds, const Numbers& loading, const Words& rounds) {
    std::vector<Numbers> order;
    for (const string& each : rounds) order.push_back(to_numbers(each));
    const double end = monotonic() + seconds;
    std::map<int, SessionPointer> sessions;
    for (const int number : loading) sessions[number] = take(number);
    for (const Numbers& sequence : order)
      for (const int number : sequence)
        if (!sessions.count(number))
          throw std::runtime_error("network " + std::to_string(number) + " is not loaded");
    for (const int number : loading) sessions[number]->run();
    string bundle;
    double reported = monotonic();
    earliest_ = reported;
    const auto report = [&] {
      if (!bundle.empty()) answer("rounds", ", \"rounds\": [" + bundle + "]");
      bundle.clear();
      reported = monotonic();
    };
    for (const Numbers& sequence : order) {
      string visits;
      for (const int number : sequence) {
        const string warm = time_call(*sessions[number]), counted = time_call(*sessions[number]);
        visits += (visits.empty() ? "[" : ", [") + warm + ", " + counted + "]";
      }
      bundle += (bundle.empty() ? "[" : ", [") + visits + "]";
      if (monotonic() - reported >= kSecondsBetweenReports) report();
      if (monotonic() >= end) break;
    }
    report();
    answer("done");
  }

  // Wall time and CPU time of this thread, in seconds, of one inference.
  string time_call(const Session& session) {
    if (options_.pace > 0) {
      sleep_for(earliest_ - monotonic());
      earliest_ = monotonic() + options_.pace;
    }
    double wall = monotonic(), busy = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    session.run();
    busy = seconds_of(CLOCK_THREAD_CPUTIME_ID) - busy;
    wall = monotonic() - wall;
    return format("%.9f", wall) + ", " + format("%.9f", busy);
  }

  const Options options_;
  std::map<int, Words> files_;
  std::map<int, std::vector<float>> images_;  // by side
  std::map<int, SessionPointer> fresh_;
  DeviceLock lock_;
  double earliest_ = 0.0;
};

// Reads the options of `runner.serve.main`.
Options read_options(const Words& words) {
  const auto refuse = [](const string& why) { throw std::invalid_argument(why); };
  if (words.empty() || words[0] != "ncnn") refuse("the engine of this runner is ncnn");
  Options options;
  for (size_t each = 1; each < words.size(); each += 2) {
    const string& name = words[each];
    if (each + 1 == words.size()) refuse(name + " needs a value");
    const string& value = words[each + 1];
    if (name == "--threads") options.threads = to_int(value);
    else if (name == "--precision") options.precision = value;
    else if (name == "--cores") options.cores = to_numbers(value);
    else if (name == "--pace") options.pace = to_double(value);
    else if (name != "--processor" || value != "cpu") refuse("no option " + name + " " + value);
  }
  if (options.threads < 1) refuse("--threads must be at least 1");
  if (options.precision != "fp32" && options.precision != "fp16" && options.precision != "bf16")
    refuse("--precision is fp32, fp16 or bf16");
  return options;
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  try {
    options = read_options(Words(arguments + 1, arguments + count));
  } catch (const std::exception& error) {
    fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kThreadStack);
  pthread_setattr_default_np(&attributes);
  // Answers have the output to themselves: what ncnn prints goes to the errors.
  answers = dup(1);
  dup2(2, 1);
  Input input;  // its thread is not pinned
  try {
    pin(options.cores);
    answer("ready", ", \"protocol\": " + std::to_string(kProtocol) + ", \"machine\": " + machine());
    Runner runner(options);
    while (true) {
      const Words words = words_of(input.next());
      if (words.empty()) continue;
      try {
        runner.carry_out(words);
      } catch (const Refused& error) {
        answer_message("refused", error.what());
      }
    }
  } catch (const std::bad_alloc&) {
    answer_message("failed", "memory ran out");
  } catch (const std::exception& error) {
    answer_message("failed", error.what());
  }
  _exit(1);
}
