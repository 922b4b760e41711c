#include "files/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "files/quoted.h"

namespace slipstream {
namespace {

Result<std::string> read_open_file(int fd, const std::string& path, uint64_t max_bytes) {
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return invalid("{} is not a regular file", in_quotes(path));
  if (static_cast<uint64_t>(status.st_size) > max_bytes) {
    return invalid("{} has {} bytes, more than the {} that are read", in_quotes(path), status.st_size, max_bytes);
  }
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(fd, text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return outside("{} cannot be read: {}", in_quotes(path), std::strerror(errno));
    if (got == 0) break;  // it became shorter since
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

}  // namespace

Result<std::string> read_text_file(const std::string& path, uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int reason = errno;
    Error error = outside("{} cannot be opened: {}", in_quotes(path), std::strerror(reason));
    if (reason == ENOENT || reason == ENOTDIR) error.kind = ErrorKind::kNotFound;
    return error;
  }
  Result<std::string> text = read_open_file(fd, path, max_bytes);
  ::close(fd);
  return text;
}

bool file_exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

}  // namespace slipstream
