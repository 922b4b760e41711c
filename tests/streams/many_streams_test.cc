// Many open streams at once on the one I/O thread.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "echo_server.h"
#include "http/http_test_client.h"
#include "stream_load.h"

namespace slipstream {
namespace {

std::vector<TokenId> prompt_of(uint32_t stream) { return {stream % 256, stream / 256, 7, stream % 13}; }

// streams_load is the command for more of them.
TEST(ManyStreams, five_hundred_open_streams_lose_nothing_keep_their_order_and_wake_the_io_thread_once_a_step) {
  const StreamLoadReport report = run_stream_load({.num_streams = 500, .num_tokens = 60});
  EXPECT_EQ(report.num_wrong, 0u) << report.fault;
  EXPECT_GE(report.num_steps, 60u);
  EXPECT_GE(report.num_wake_ups, 1u);
  EXPECT_LE(report.num_wake_ups, report.num_steps);
}

TEST(ManyStreams, clients_that_come_and_go_leave_nothing_behind) {
  EchoServerOptions options;
  options.engine.max_num_seqs = 16;
  EchoServer server(options);
  std::vector<HttpTestClient> clients;
  for (uint32_t i = 0; i < 300; ++i) {
    clients.emplace_back(server.port());
    const std::string fields =
        R"("temperature":0,"ignore_eos":true,"max_tokens":300)" + std::string(i % 2 == 0 ? R"(,"stream":true)" : "");
    clients.back().send(post("/v1/completions", completion_body(prompt_of(i), fields)));
    if (i % 7 == 0) clients.back().receive(5);
    if (i % 3 != 0) clients.back().leave();
  }
  clients.clear();
  EXPECT_TRUE(soon([&] { return server.engine().idle(); }));
  EXPECT_TRUE(soon([&] { return server.engine().stats().blocks_in_use == 0; }));
  HttpTestClient after(server.port());
  after.send(post("/v1/completions", completion_body({1, 2}, R"("temperature":0,"max_tokens":3)")));
  EXPECT_EQ(status_of(after.take_response()), 200);
}

}  // namespace
}  // namespace slipstream
