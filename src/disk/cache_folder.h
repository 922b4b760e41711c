// The folder on the disk: opened, checked and locked once; files in it by name. What lies there was computed from what
// users wrote, so it is for its owner alone: the folder 0700, each file 0600. One process at a time.
//
// A file is written under another name and then renamed, so a name stands for a whole file however the process ends.
// Nothing is forced to the disk (fdatasync): when the machine itself stops, a name may stand for a torn or empty file,
// and whoever reads one checks it in any case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "disk/chain_key.h"

namespace slipstream {

class CacheFolder {
 public:
  // Makes the folder if only its last part is missing. Errors, each naming the path: kInvalid for a folder of another
  // user or open to others, or something that is no folder; kUnavailable when another process holds it; kOutside.
  static Result<CacheFolder> open(const std::string& path);
  ~CacheFolder();
  CacheFolder(CacheFolder&& other) noexcept;
  CacheFolder& operator=(CacheFolder&&) = delete;

  // The folder's own secret; `fresh` becomes it where there is none yet, or none that can be read.
  Result<Secret> secret(const Secret& fresh);

  struct File {
    std::string name;
    uint64_t num_bytes = 0;
    int64_t used_ns = 0;  // what it was last written or touched with
  };
  // Regular files, this class's own left out. What a killed process had not finished is removed.
  Result<std::vector<File>> list();

  // Replaces the file. used_ns: nanoseconds since 1970, kept as its time. Error: nothing of it is left (but an older
  // one of this name).
  Status write(const std::string& name, std::span<const std::byte> bytes, int64_t used_ns);
  // Fills the front of `into` and returns how many bytes the file has. Error: kNotFound; kInvalid when it has more than
  // `into`; kOutside.
  Result<size_t> read(const std::string& name, std::span<std::byte> into) const;
  void touch(const std::string& name, int64_t used_ns) const;
  void remove(const std::string& name) const;  // or is gone already

 private:
  CacheFolder(std::string path, int folder) : path_(std::move(path)), folder_(folder) {}

  std::string path_;
  int folder_ = -1;
  int lock_ = -1;
};

}  // namespace slipstream
