// Many open streams at once on the one I/O thread.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "base/memory.h"
#include "echo_server.h"
#include "http/http_test_client.h"

namespace slipstream {
namespace {

constexpr uint32_t kNumStreams = 500;
constexpr uint32_t kNumTokens = 60;

std::vector<TokenId> prompt_of(uint32_t stream) { return {stream % 256, stream / 256, 7, stream % 13}; }

// Reads all clients until each has its whole stream.
void read_all(std::vector<HttpTestClient>& clients, std::vector<std::string>& received) {
  std::vector<pollfd> waiting;
  for (const HttpTestClient& client : clients) waiting.push_back({client.fd(), POLLIN, 0});
  size_t open = clients.size();
  while (open > 0 && poll(waiting.data(), waiting.size(), 20'000) > 0) {
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      const bool more = clients[i].receive();
      if (more && !clients[i].received().ends_with("0\r\n\r\n")) continue;
      received[i] = clients[i].received();
      waiting[i].fd = -1;
      --open;
    }
  }
}

TEST(ManyStreams, five_hundred_open_streams_lose_nothing_and_keep_their_order) {
  EchoServer server;
  server.executor().hold();  // so that all are open at once
  std::vector<HttpTestClient> clients;
  const uint64_t bytes_before = resident_bytes();
  for (uint32_t i = 0; i < kNumStreams; ++i) {
    clients.emplace_back(server.port());
    ASSERT_TRUE(clients.back().connected());
    const std::string fields =
        R"("temperature":0,"ignore_eos":true,"stream":true,"max_tokens":)" + std::to_string(kNumTokens);
    ASSERT_TRUE(clients.back().send(post("/v1/completions", completion_body(prompt_of(i), fields))));
  }
  ASSERT_TRUE(soon([&] {
    const EngineStats stats = server.engine().stats();
    return stats.num_running + stats.num_waiting >= kNumStreams;
  }));
  const uint64_t bytes_open = resident_bytes();
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  server.executor().open();
  std::vector<std::string> received(kNumStreams);
  read_all(clients, received);
  getrusage(RUSAGE_SELF, &after);
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < kNumStreams; ++i) {
    const Streamed streamed = read_stream(body_of(received[i]));
    const bool right = streamed.fault.empty() && streamed.done && streamed.choices.size() == 1 &&
                       streamed.choices[0].text == server.echo_answer(prompt_of(i), kNumTokens).text;
    if (!right && ++wrong <= 3)
      ADD_FAILURE() << "stream " << i << ": " << streamed.fault << "\n" << received[i].substr(0, 2000);
  }
  EXPECT_EQ(wrong, 0u);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  const double cpu =
      seconds(after.ru_utime) + seconds(after.ru_stime) - seconds(before.ru_utime) - seconds(before.ru_stime);
  std::printf("%u streams of %u tokens: %.1f KiB of memory each while open (client included), %.2f s of CPU in all\n",
              kNumStreams, kNumTokens, static_cast<double>(bytes_open - bytes_before) / 1024 / kNumStreams, cpu);
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
