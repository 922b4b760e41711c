#include "app/child_server.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string_view>
#include <utility>

namespace slipstream {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// Until it ends, or holds `until`.
std::string read_text(int fd, std::string_view until) {
  std::string text;
  char chunk[4096];
  while (text.find(until) == std::string::npos) {
    const ssize_t count = ::read(fd, chunk, sizeof chunk);
    if (count <= 0) break;
    text.append(chunk, static_cast<size_t>(count));
  }
  return text;
}

// Only what is safe between fork() and exec: other threads may hold any lock.
[[noreturn]] void become(char* const* arguments, int output, int errors, pid_t parent) {
  constexpr int kCannotBeRun = 127;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotBeRun);  // gone before the line above
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  execv("/proc/self/exe", arguments);
  _exit(kCannotBeRun);
}

// "slipstream: no such model\n" -> "no such model"
std::string last_words(int errors) {
  lseek(errors, 0, SEEK_SET);
  std::string said = read_text(errors, std::string_view("\0", 1));
  while (said.ends_with('\n')) said.pop_back();
  if (const size_t line = said.rfind('\n'); line != std::string::npos) said.erase(0, line + 1);
  constexpr std::string_view kName = "slipstream: ";
  if (said.starts_with(kName)) said.erase(0, kName.size());
  return said.empty() ? "it said nothing" : said;
}

}  // namespace

Result<std::unique_ptr<ChildServer>> ChildServer::start(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"slipstream", "serve", "--port", "0"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return outside("the system gives no pipe");
  const Descriptor output(ends[0]);
  Descriptor output_of_child(ends[1]);
  const Descriptor errors(memfd_create("errors of a server", MFD_CLOEXEC));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return outside("the system starts no process");
  if (pid == 0) become(argv.data(), output_of_child.get(), errors.get(), parent);
  output_of_child.close();

  std::unique_ptr<ChildServer> child(new ChildServer(pid));
  // One line, once it takes requests; the address is its end.
  const std::string facts = read_text(output.get(), "\n");
  const size_t url = facts.rfind("http://", facts.find('\n'));
  if (url == std::string::npos) return outside("the server that was started has ended: {}", last_words(errors.get()));
  ASSIGN_OR_RETURN(child->address_, read_http_address(std::string_view(facts).substr(url, facts.find('\n') - url)));
  return child;
}

ChildServer::~ChildServer() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

}  // namespace slipstream
