// Words and numbers of commands, and the JSON lines that answer them.

#pragma once

#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using std::string;
using Words = std::vector<string>;
using Numbers = std::vector<int>;

// A network or a command that is refused; the runner goes on. Any other error ends it.
struct Refused : std::runtime_error {
  using runtime_error::runtime_error;
};

inline Words split(const string& text, char separator) {
  Words parts;
  std::istringstream stream(text);
  for (string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

inline Words words_of(const string& line) {
  std::istringstream stream(line);
  return Words(std::istream_iterator<string>(stream), {});
}

inline double to_double(const string& word) {
  char* end = nullptr;
  const double value = strtod(word.c_str(), &end);
  if (word.empty() || *end || !std::isfinite(value))
    throw std::runtime_error("'" + word + "' is not a number");
  return value;
}

inline int to_int(const string& word) {
  const double value = to_double(word);
  if (value != std::floor(value) || std::fabs(value) > 1e9)
    throw std::runtime_error("'" + word + "' is not an integer");
  return static_cast<int>(value);
}

inline Numbers to_numbers(const string& text) {
  Numbers numbers;
  for (const string& each : split(text, ',')) numbers.push_back(to_int(each));
  return numbers;
}

inline string format(const char* how, double value) {
  char text[64];
  snprintf(text, sizeof text, how, value);
  return text;
}

inline string quote(const string& text) {
  string quoted = "\"";
  for (const char each : text) {
    const bool control = static_cast<unsigned char>(each) < ' ';
    if (each == '"' || each == '\\') quoted += '\\';
    if (each == '\n') quoted += "\\n";
    else quoted += control ? ' ' : each;
  }
  return quoted + '"';
}

// The content of a file; "" if it cannot be read.
inline string read_bytes(const string& path) {
  std::ifstream file(path, std::ios::binary);
  return string(std::istreambuf_iterator<char>(file), {});
}

// The same, without white space at its ends.
inline string read_text(const string& path) {
  const string text = read_bytes(path), blank(" \n\0", 3);
  const size_t first = text.find_first_not_of(blank);
  return first == string::npos ? "" : text.substr(first, text.find_last_not_of(blank) + 1 - first);
}

// The descriptor that answers go to.
inline int answers = 1;

// Writes one line; without a reader, ends the process.
inline void write_line(string line) {
  line += '\n';
  for (size_t done = 0; done < line.size();) {
    const ssize_t count = write(answers, line.data() + done, line.size() - done);
    if (count < 0 && errno != EINTR) _exit(1);
    if (count > 0) done += static_cast<size_t>(count);
  }
}

// `more` is the rest of the object: "" or `, "key": value…`.
inline void answer(const string& event, const string& more = "") {
  write_line("{\"event\": " + quote(event) + more + "}");
}

inline void answer_message(const string& event, const string& message) {
  answer(event, ", \"message\": " + quote(message));
}
