#include "app/measured_engine.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace slipstream {
namespace {

// The small made-up model.
std::unique_ptr<MeasuredEngine> small_engine(const EngineRoom& room) {
  MeasuredModelOptions options;
  options.compute.num_threads = 1;
  auto engine = MeasuredEngine::open(options, room);
  CHECK(engine.ok(), "{}", engine.error().message);
  return std::move(engine).value();
}

TEST(MeasuredEngine, asks_the_next_when_one_has_ended_and_gives_each_its_tokens) {
  const auto engine = small_engine({2, 30});
  LoadPlan plan;
  plan.num_streams = 2;
  plan.num_requests = 5;
  plan.prompt_tokens = 20;
  plan.max_tokens = 10;
  plan.vocab_size = engine->config().vocab_size;
  uint64_t told = 0;
  const auto load = engine->run(plan, [&](uint64_t more) { told += more; });
  ASSERT_TRUE(load.ok());
  ASSERT_EQ(load->size(), 5u);
  EXPECT_EQ(told, 50u);
  std::vector<double> ends;
  for (const LoadedRequest& request : *load) {
    EXPECT_EQ(request.num_tokens, 10u);
    EXPECT_EQ(request.text_s.size(), 10u);
    EXPECT_TRUE(std::ranges::is_sorted(request.text_s));
    EXPECT_LT(request.asked_s, request.first_event_s);
    EXPECT_EQ(request.ended_s, request.text_s.back());
    ends.push_back(request.ended_s);
  }
  std::ranges::sort(ends);
  EXPECT_LT((*load)[1].asked_s, ends[0]);
  for (size_t request = 2; request < load->size(); ++request) EXPECT_GE((*load)[request].asked_s, ends[request - 2]);
}

TEST(MeasuredEngine, serve_gets_the_room_and_the_settings_that_it_has) {
  const auto engine = small_engine({3, 100});
  const std::vector<std::string>& arguments = engine->serve_arguments();
  const auto value_of = [&](const std::string& name) {
    const auto at = std::ranges::find(arguments, name);
    return at == arguments.end() ? "none" : *(at + 1);
  };
  EXPECT_EQ(value_of("--max-num-seqs"), "3");
  EXPECT_EQ(value_of("--max-model-len"), "100");
  EXPECT_EQ(value_of("--threads"), "1");
  EXPECT_EQ(value_of("--paged-cache-block-size"), "64");
  EXPECT_TRUE(std::ranges::count(arguments, "--continuous-batching") == 1);
}

TEST(MeasuredEngine, what_serve_does_not_have_is_refused) {
  MeasuredModelOptions options;
  options.compute.dummy = "qwen3-0.6b-8bit";
  EXPECT_EQ(serve_arguments_of(options).back(), "qwen3-0.6b-8bit");
  options.compute.activations = "f32";
  EXPECT_THROW(serve_arguments_of(options), CLI::ValidationError);
  options.compute.activations = "int16";
  options.num_layers = 2;
  EXPECT_THROW(serve_arguments_of(options), CLI::ValidationError);
}

TEST(MeasuredEngine, longer_sequences_than_the_model_is_made_for_are_refused) {
  const auto engine = MeasuredEngine::open(MeasuredModelOptions(), {1, 1u << 30});
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(engine.error().message.find("this model was made for"), std::string::npos);
}

}  // namespace
}  // namespace slipstream
