#include "files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "files/quoted.h"

namespace slipstream {
namespace {

constexpr size_t kPage = 4096;
// A page fault in a file maps up to this much around it (Linux fault_around_bytes), so neighbours of what was read stay
// mapped too.
constexpr size_t kFaultAround = size_t{64} << 10;

}  // namespace

Result<std::shared_ptr<MappedFile>> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int reason = errno;
    Error error = outside("{} cannot be opened: {}", in_quotes(path), std::strerror(reason));
    if (reason == ENOENT || reason == ENOTDIR) error.kind = ErrorKind::kNotFound;
    return error;
  }
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    return invalid("{} is not a regular file", in_quotes(path));
  }
  if (status.st_size == 0) {
    ::close(fd);
    return invalid("{} is empty", in_quotes(path));
  }
  const auto size = static_cast<size_t>(status.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) {
    const int reason = errno;
    ::close(fd);
    return outside("{} cannot be mapped: {}", in_quotes(path), std::strerror(reason));
  }
  madvise(data, size, MADV_SEQUENTIAL);  // advice: read ahead far
  return std::make_shared<MappedFile>(fd, std::span(static_cast<const std::byte*>(data), size),
                                      path.substr(path.find_last_of('/') + 1));
}

MappedFile::MappedFile(int fd, std::span<const std::byte> bytes, std::string base_name)
    : fd_(fd), bytes_(bytes), base_name_(std::move(base_name)) {}

MappedFile::~MappedFile() {
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  ::close(fd_);
}

void MappedFile::will_need(std::span<const std::byte> part) const {
  const size_t begin = static_cast<size_t>(part.data() - bytes_.data()) / kPage * kPage;
  const size_t end = static_cast<size_t>(part.data() - bytes_.data()) + part.size();
  madvise(const_cast<std::byte*>(bytes_.data()) + begin, end - begin, MADV_WILLNEED);  // advice only
}

//        page      page      page      page      page
//   |---------|---[=====|=========|=====]---|---------|
//       unmapped: these and the fault-around on both sides (clean pages: whoever needs one faults it in again)
//                        dropped: only whole pages inside, since a neighbour's first bytes are still to be read
void MappedFile::release(std::span<const std::byte> part, bool drop_cache) const {
  if (part.empty()) return;
  const size_t begin = static_cast<size_t>(part.data() - bytes_.data());
  const size_t end = begin + part.size();
  const size_t wide_begin = (begin > kFaultAround ? begin - kFaultAround : 0) / kPage * kPage;
  const size_t wide_end = std::min(bytes_.size(), end + kFaultAround);
  madvise(const_cast<std::byte*>(bytes_.data()) + wide_begin, wide_end - wide_begin, MADV_DONTNEED);
  const size_t whole_begin = (begin + kPage - 1) / kPage * kPage;
  const size_t whole_end = end == bytes_.size() ? end : end / kPage * kPage;
  if (drop_cache && whole_begin < whole_end) {
    posix_fadvise(fd_, static_cast<off_t>(whole_begin), static_cast<off_t>(whole_end - whole_begin),
                  POSIX_FADV_DONTNEED);
  }
}

}  // namespace slipstream
