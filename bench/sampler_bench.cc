// What a drawn token costs, on one thread, beside a plain read of its logits from where they lie:
//
//   sampler_bench [vocab=152064] [rows=16] [draws=320] [isa=avx2]
//
// Logits of `rows` sequences in turn, as after an output projection for a batch: 16 rows of 152,064 are 9.7 MB, so
// that they come from L3 (rows=1: from L2). peaked: a normal distribution with a dozen likely tokens, as most rows of
// an answer are; normal: without them, so that top_p keeps thousands; flat: almost equal, so that it keeps most of the
// vocabulary. Medians in us.

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <string_view>
#include <vector>

#include "base/memory.h"
#include "kernels/machine_limits.h"
#include "sample/logit_rules.h"
#include "sample/logprobs.h"
#include "sample/sampler.h"

namespace slipstream {
namespace {

struct Options {
  std::vector<uint32_t> vocabs = {152'064, 128'256, 49'152};
  uint32_t rows = 16;
  uint32_t draws = 320;
  Isa isa = best_isa();
};

struct Distribution {
  const char* name;
  float deviation;
  uint32_t peaks;
};
constexpr Distribution kDistributions[] = {{"peaked", 2.5f, 12}, {"normal", 2.5f, 0}, {"flat", 0.1f, 0}};

struct Case {
  const char* name;
  SamplingParams params;
};
const Case kCases[] = {
    {"greedy", {.temperature = 0}},
    {"temperature 0.8", {.temperature = 0.8}},
    {"  top_p 0.95", {.temperature = 0.8, .top_p = 0.95}},
    {"  top_p 0.5", {.temperature = 0.8, .top_p = 0.5}},
    {"  top_p 0.999", {.temperature = 0.8, .top_p = 0.999}},
    {"  top_k 40", {.temperature = 0.8, .top_k = 40}},
    {"  top_p 0.95, top_k 40", {.temperature = 0.8, .top_p = 0.95, .top_k = 40}},
    {"  min_p 0.05", {.temperature = 0.8, .min_p = 0.05}},
    {"  top_p 0.95, min_p 0.05", {.temperature = 0.8, .top_p = 0.95, .min_p = 0.05}},
};

class SamplerBench {
 public:
  SamplerBench(uint32_t vocab, const Options& options)
      : vocab_(vocab),
        options_(options),
        kernels_(kernels_for(options.isa)),
        logits_(Arena::make(round_up(size_t{vocab} * sizeof(float), 64) * options.rows)),
        scratch_(Arena::make(sampler_scratch_bytes(vocab))),
        pool_(1) {}

  void run() {
    if (!logits_ || !scratch_) {
      fmt::print(stderr, "no memory for {} logits\n", vocab_);
      return;
    }
    for (const Distribution& distribution : kDistributions) {
      fill(distribution);
      const double read = static_cast<double>(vocab_) * 4 / read_bandwidth(pool_, all_bytes()) * 1e-3;
      fmt::print("{} logits, {}: plain read {:.1f} us a row\n", vocab_, distribution.name, read);
      for (const Case& one : kCases) {
        print(one.name, [&](uint32_t draw) {
          sample_token(row(draw), one.params, {.position = draw, .choice = 0}, {scratch_->data(), scratch_->size()},
                       kernels_);
        });
      }
      for (const size_t top : {0, 5, 20}) {
        std::vector<TokenLogprob> found(1 + top);
        print(fmt::format("logprobs, top {}", top), [&](uint32_t draw) { find_logprobs(row(draw), 17, found); });
      }
      time_rules();
    }
  }

 private:
  std::span<float> row(uint32_t index) {
    const size_t stride = round_up(size_t{vocab_} * sizeof(float), 64);
    return {reinterpret_cast<float*>(logits_->data() + index % options_.rows * stride), vocab_};
  }
  std::span<const std::byte> all_bytes() const { return {logits_->data(), logits_->size()}; }

  void fill(const Distribution& distribution) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, distribution.deviation);
    for (uint32_t i = 0; i < options_.rows; ++i) {
      for (float& logit : row(i)) logit = normal(random);
      for (uint32_t peak = 0; peak < distribution.peaks; ++peak) {
        row(i)[random() % vocab_] = 20.0f - 0.7f * static_cast<float>(peak);
      }
    }
  }

  template <class Work>
  void print(std::string_view name, Work&& work) {
    std::vector<double> times;
    for (uint32_t draw = 0; draw < options_.rows + options_.draws; ++draw) {
      const double begin = Clock::real().now_s();
      work(draw);
      if (draw >= options_.rows) times.push_back(Clock::real().now_s() - begin);
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    fmt::print("  {:26} {:7.1f}\n", name, times[times.size() / 2] * 1e6);
  }

  // Repetition penalty over a prompt of 2,000 tokens. Of 1, so that the logits stay as they are.
  void time_rules() {
    std::mt19937 random(2);
    TokenCounts counts(2000);
    for (int i = 0; i < 2000; ++i) counts.add_prompt(random() % vocab_);
    print("penalties of 2,000 tokens", [&](uint32_t draw) { apply_logit_rules(row(draw), {}, counts); });
  }

  const uint32_t vocab_;
  const Options& options_;
  const Kernels& kernels_;
  Result<Arena> logits_;
  Result<Arena> scratch_;
  ThreadPool pool_;
};

bool read_option(std::string_view argument, Options& options) {
  const size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = argument.substr(0, equals), value = argument.substr(equals + 1);
  if (name == "isa") {
    const std::optional<Isa> isa = isa_from_name(value);
    if (!isa || !isa_supported(*isa)) return false;
    options.isa = *isa;
    return true;
  }
  uint32_t number = 0;
  if (std::from_chars(value.data(), value.data() + value.size(), number).ec != std::errc() || number == 0) return false;
  if (name == "vocab") options.vocabs = {number};
  if (name == "rows") options.rows = number;
  if (name == "draws") options.draws = number;
  return name == "vocab" || name == "rows" || name == "draws";
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (read_option(argv[i], options)) continue;
    fmt::print(stderr, "not understood: {}\n", argv[i]);
    return 2;
  }
  for (const uint32_t vocab : options.vocabs) SamplerBench(vocab, options).run();
  return 0;
}

}  // namespace
}  // namespace slipstream

int main(int argc, char** argv) { return slipstream::run(argc, argv); }
