// A network: the check of its files, and a session of ncnn.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>

#include "net.h"
#include "text.hpp"

// Checks what ncnn does not, and then crashes on: the layers of a `.param` and the size of its
// `.bin`, see `formats/ncnn/param.py`. Returns the side of the input.
inline int check_files(const string& param, const string& weights) {
  static const std::set<string> plain = {"BinaryOp", "Concat", "Crop", "HardSigmoid", "HardSwish",
                                         "Input", "Interp", "Pooling", "ReLU", "Sigmoid", "Split"};
  // Layer type → the setting that holds the size of its weight.
  static const std::map<string, string> weighted = {
      {"Convolution", "6"}, {"ConvolutionDepthWise", "6"}, {"InnerProduct", "2"}};
  const auto refuse = [](const string& why) { throw Refused("ncnn cannot load the file: " + why); };
  const Words lines = split(param, '\n');
  if (lines.size() < 3 || lines[0] != "7767517") refuse("it does not begin as such a file does");
  std::set<string> known;
  size_t blobs = 0, expected = 0;
  int side = 0;
  for (size_t number = 2; number < lines.size(); number++) {
    const Words words = words_of(lines[number]);
    const string line = "line " + std::to_string(number + 1);
    const int counts[] = {words.size() > 4 ? atoi(words[2].c_str()) : -1,
                          words.size() > 4 ? atoi(words[3].c_str()) : -1};
    if (std::min(counts[0], counts[1]) < 0 || std::max(counts[0], counts[1]) > 1000)
      refuse(line + " is not a layer");
    const size_t inputs = static_cast<size_t>(counts[0]), outputs = static_cast<size_t>(counts[1]);
    if (words.size() < 4 + inputs + outputs || outputs == 0) refuse(line + " is not a layer");
    const string& kind = words[0];
    std::map<string, double> settings;
    for (size_t each = 4 + inputs + outputs; each < words.size(); each++) {
      const size_t sign = words[each].find('=');
      if (sign == string::npos) refuse(line + " is not a layer");
      settings[words[each].substr(0, sign)] = atof(words[each].c_str() + sign + 1);
    }
    for (size_t each = 4; each < 4 + inputs; each++)
      if (known.erase(words[each]) == 0) refuse(line + " reads an unknown blob");
    for (size_t each = 4 + inputs; each < 4 + inputs + outputs; each++)
      if (!known.insert(words[each]).second) refuse(line + " writes a blob that exists");
    blobs += outputs;
    if (kind == "Input") {
      side = static_cast<int>(settings["0"]);
      if (settings["1"] != side || settings["2"] != 3) refuse("its input is not a square image");
    }
    if (const auto found = weighted.find(kind); found != weighted.end()) {
      const double values = settings[found->second], biases = settings["0"];
      if (values < 1 || biases < 1) refuse(line + " does not say how many weights it has");
      const uint32_t tag = 0;
      if (expected + 4 > weights.size() || memcmp(weights.data() + expected, &tag, 4) != 0)
        refuse("the weights of " + line + " are not 32-bit floats");
      expected += 4 + 4 * static_cast<size_t>(values + biases);
    } else if (plain.count(kind) == 0) {
      refuse(line + " is not a layer");
    }
  }
  if (words_of(lines[1]) != Words{std::to_string(lines.size() - 2), std::to_string(blobs)})
    refuse("it announces other numbers of layers and blobs than it holds");
  if (weights.size() != expected)
    refuse(std::to_string(expected) + " bytes of weights belong to it, but got " +
           std::to_string(weights.size()));
  return side;
}

// A loaded network with its input in place, see `runner/ncnn_session.py`.
class Session {
 public:
  // `files` has a `.param` and a `.bin`; `image` returns the float32 image (3, side, side).
  template <typename Image>
  Session(const Words& files, int threads, const string& precision, const Image& image) {
    const string param = find(files, ".param"), weights = find(files, ".bin");
    for (const string& path : {param, weights})
      if (access(path.c_str(), R_OK) != 0) throw std::runtime_error("cannot read '" + path + "'");
    const int side = check_files(read_bytes(param), read_bytes(weights));
    const bool half = precision == "fp16";
    net_.opt.num_threads = threads;
    net_.opt.use_fp16_packed = net_.opt.use_fp16_storage = net_.opt.use_fp16_arithmetic = half;
    net_.opt.use_bf16_packed = net_.opt.use_bf16_storage = precision == "bf16";
    if (net_.load_param(param.c_str()) != 0 || net_.load_model(weights.c_str()) != 0)
      throw Refused("ncnn refused the file");
    const std::vector<float>& pixels = image(side);
    // ncnn does not write to an input; `clone` aligns its channels.
    image_ = ncnn::Mat(side, side, 3, const_cast<float*>(pixels.data())).clone();
  }

  // Runs one inference and returns the logits.
  ncnn::Mat run() const {
    ncnn::Extractor extractor = net_.create_extractor();
    ncnn::Mat logits;
    if (extractor.input("input", image_) != 0 || extractor.extract("logits", logits) != 0)
      throw Refused("ncnn cannot compute the network");
    return logits;
  }

 private:
  static string find(const Words& files, const string& suffix) {
    for (const string& each : files)
      if (each.size() > suffix.size() && each.substr(each.size() - suffix.size()) == suffix)
        return each;
    throw Refused("the network has no " + suffix + " file");
  }

  ncnn::Net net_;
  ncnn::Mat image_;
};
