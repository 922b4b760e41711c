// A file seen as read-only memory. Reading a byte may read the disk; nothing is read before it is touched.
//
// Pages that were read count as this process's memory until release(). The file must not shrink while it is mapped: the
// system then ends the process with SIGBUS, which no check can prevent.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace slipstream {

class MappedFile {
 public:
  // A regular file that is not empty. Errors name the path.
  static Result<std::shared_ptr<MappedFile>> open(const std::string& path);
  // Takes the descriptor and the mapping over; for open().
  MappedFile(int fd, std::span<const std::byte> bytes, std::string base_name);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& base_name() const { return base_name_; }
  bool contains(const std::byte* byte) const { return byte >= bytes_.data() && byte < bytes_.data() + bytes_.size(); }

  // `part` will be read soon: the system begins to read it from the disk, if it must. Any thread.
  void will_need(std::span<const std::byte> part) const;
  // The pages of `part` leave this process's memory; touching them reads them again. With drop_cache also the
  // system's own copy of them goes, as far as it lies wholly inside `part`. Any thread.
  void release(std::span<const std::byte> part, bool drop_cache) const;

 private:
  const int fd_;
  const std::span<const std::byte> bytes_;
  const std::string base_name_;
};

}  // namespace slipstream
