#include "stream_load.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/check.h"
#include "base/memory.h"
#include "echo_server.h"
#include "http/event_loop.h"
#include "http/http_test_client.h"

// The programs that link this are linked with --wrap=write, so each write(2) of theirs comes by here. Posting to a
// ResumeQueue is the only one of 8 bytes (base/resume_queue.cc).
std::atomic<uint64_t> num_eventfd_writes{0};
extern "C" ssize_t __real_write(int fd, const void* bytes, size_t size);
extern "C" ssize_t __wrap_write(int fd, const void* bytes, size_t size) {
  if (size == sizeof(uint64_t)) num_eventfd_writes.fetch_add(1);
  return __real_write(fd, bytes, size);
}

namespace slipstream {
namespace {

std::vector<TokenId> prompt_of(uint32_t stream) { return {stream % 256, stream / 256, 7, stream % 13}; }

// ---- the clients' process ----

struct ClientsReport {
  uint32_t num_wrong = 0;
  std::array<char, 1000> fault{};
};

void read_all(std::vector<HttpTestClient>& clients) {
  std::vector<pollfd> waiting;
  for (const HttpTestClient& client : clients) waiting.push_back({client.fd(), POLLIN, 0});
  size_t open = clients.size();
  while (open > 0 && poll(waiting.data(), waiting.size(), 60'000) > 0) {
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      const bool more = clients[i].receive();
      if (more && !clients[i].received().ends_with("0\r\n\r\n")) continue;
      waiting[i].fd = -1;
      --open;
    }
  }
}

std::string fault_of(const std::string& received, const std::string& expected) {
  const Streamed streamed = read_stream(body_of(received));
  if (!streamed.fault.empty()) return streamed.fault;
  if (!streamed.done || streamed.choices.size() != 1) return "not a whole stream: " + received.substr(0, 400);
  return streamed.choices[0].text == expected ? "" : "another text: " + streamed.choices[0].text;
}

ClientsReport run_clients(const StreamLoad& load, uint16_t port, const std::vector<std::string>& expected) {
  ClientsReport report;
  raise_descriptor_limit();
  const std::string fields =
      R"("temperature":0,"ignore_eos":true,"stream":true,"max_tokens":)" + std::to_string(load.num_tokens);
  std::vector<HttpTestClient> clients;
  for (uint32_t i = 0; i < load.num_streams; ++i) {
    clients.emplace_back(port);
    clients.back().send(post("/v1/completions", completion_body(prompt_of(i), fields)));
  }
  read_all(clients);
  for (uint32_t i = 0; i < load.num_streams; ++i) {
    const std::string fault = fault_of(clients[i].received(), expected[i]);
    if (fault.empty() || report.num_wrong++ > 0) continue;
    std::snprintf(report.fault.data(), report.fault.size(), "stream %u: %s", i, fault.c_str());
  }
  return report;
}

// ---- the server's process ----

// The processor time of the thread with this name.
double cpu_seconds_of(const std::string& name) {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string its_name;
    std::getline(std::ifstream(thread.path() / "comm"), its_name);
    if (its_name != name) continue;
    const auto id = static_cast<clockid_t>(std::stoul(thread.path().filename()));
    timespec time{};
    // The kernel's clock of a thread: MAKE_THREAD_CPUCLOCK(id, CPUCLOCK_SCHED).
    CHECK(clock_gettime(static_cast<clockid_t>(~id << 3 | 6), &time) == 0, "no clock for thread {}", name);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  CHECK(false, "no thread is called {}", name);
}

EchoServerOptions server_options(const StreamLoad& load) {
  EchoServerOptions options;
  options.engine.max_num_seqs = load.num_streams;
  const uint32_t tokens = static_cast<uint32_t>(prompt_of(0).size()) + load.num_tokens;
  options.engine.num_blocks = load.num_streams * (tokens / options.engine.block_tokens + 1);
  return options;
}

// Lets the streams run, and measures what they cost the server.
void measure(const StreamLoad& load, EchoServer& server, int clients_report, StreamLoadReport& report) {
  const Clock clock = Clock::real();
  const uint64_t begin_steps = server.engine().stats().num_steps;
  const uint64_t begin_writes = num_eventfd_writes.load();
  const double begin_cpu_s = cpu_seconds_of("io");
  const double begin_s = clock.now_s();
  uint64_t peak_bytes = resident_bytes();
  server.executor().open();
  pollfd wait{clients_report, POLLIN, 0};
  while (poll(&wait, 1, 5) == 0) peak_bytes = std::max(peak_bytes, resident_bytes());
  report.wall_s = clock.now_s() - begin_s;
  report.io_thread_cpu_s = cpu_seconds_of("io") - begin_cpu_s;
  soon([&] { return server.engine().stats().num_ended >= load.num_streams; });
  report.num_steps = server.engine().stats().num_steps - begin_steps;
  report.num_wake_ups = num_eventfd_writes.load() - begin_writes;
  report.peak_bytes_per_stream = static_cast<double>(peak_bytes);
}

}  // namespace

StreamLoadReport run_stream_load(const StreamLoad& load) {
  const Tokenizer tokenizer = byte_tokenizer();
  std::vector<std::string> expected;
  for (uint32_t i = 0; i < load.num_streams; ++i)
    expected.push_back(echo_answer(tokenizer, {.prompt = prompt_of(i), .max_tokens = load.num_tokens}).text);

  int to_clients[2], from_clients[2];
  CHECK(pipe(to_clients) == 0 && pipe(from_clients) == 0, "no pipes");
  const pid_t clients = fork();
  if (clients == 0) {
    uint16_t port = 0;
    close(to_clients[1]);
    if (read(to_clients[0], &port, sizeof port) != sizeof port) _exit(1);
    const ClientsReport said = run_clients(load, port, expected);
    _exit(__real_write(from_clients[1], &said, sizeof said) == sizeof said ? 0 : 1);
  }
  close(to_clients[0]);
  close(from_clients[1]);

  StreamLoadReport report;
  {
    EchoServer server(server_options(load));
    server.executor().hold();  // so that all are open at once
    const uint64_t bytes_before = resident_bytes();
    const uint16_t port = server.port();
    CHECK(__real_write(to_clients[1], &port, sizeof port) == sizeof port, "no clients");
    const auto are_open = [&] {
      const EngineStats stats = server.engine().stats();
      return stats.num_running + stats.num_waiting >= load.num_streams;
    };
    const bool all_open = soon(are_open, 120);
    const uint64_t bytes_open = resident_bytes();
    measure(load, server, from_clients[0], report);
    const double per_stream = 1.0 / load.num_streams;
    report.open_bytes_per_stream = static_cast<double>(bytes_open - bytes_before) * per_stream;
    report.peak_bytes_per_stream = (report.peak_bytes_per_stream - static_cast<double>(bytes_before)) * per_stream;
    ClientsReport said;
    const bool reported = read(from_clients[0], &said, sizeof said) == sizeof said;
    report.num_wrong = reported && all_open ? said.num_wrong : load.num_streams;
    report.fault = !all_open ? "not all streams were open at once" : reported ? said.fault.data() : "no report";
  }
  close(to_clients[1]);
  close(from_clients[0]);
  waitpid(clients, nullptr, 0);
  return report;
}

}  // namespace slipstream
