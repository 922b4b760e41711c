#include "disk/cache_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/clock.h"

namespace slipstream {
namespace {

constexpr const char* kLockName = "lock";
constexpr const char* kSecretName = "secret";
constexpr const char* kUnfinishedName = "unfinished";  // one at a time: there is one writer

Error system_error(const std::string& what, int number) {
  return Error{number == ENOENT ? ErrorKind::kNotFound : ErrorKind::kOutside,
               fmt::format("{}: {}", what, std::strerror(number)),
               {},
               {}};
}

// Closes at the end of a scope.
struct OpenFile {
  explicit OpenFile(int its_number) : number(its_number) {}
  ~OpenFile() {
    if (number >= 0) ::close(number);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  const int number;
};

// 0, or errno.
int write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return 0;
}

Result<size_t> read_all(int file, std::span<std::byte> into, const std::string& what) {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t count = ::read(file, into.data() + done, into.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(what, errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

// For futimens(): the time of its last use is kept as the file's mtime; its atime stays.
std::array<timespec, 2> file_times(int64_t used_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  return {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
          timespec{.tv_sec = used_ns / kSecond, .tv_nsec = used_ns % kSecond}};
}

Status check_owner(int folder, const std::string& path) {
  struct stat status {};
  if (::fstat(folder, &status) != 0) return system_error(path, errno);
  if (status.st_uid != ::geteuid()) {
    return invalid("{} belongs to another user ({}); what is remembered of requests lies there, so it must be this "
                   "one's ({})",
                   path, status.st_uid, ::geteuid());
  }
  if ((status.st_mode & 077) != 0) {
    return invalid("{} is open to other users (mode {:04o}); what is remembered of requests lies there: chmod 700 it",
                   path, status.st_mode & 07777);
  }
  return ok_status();
}

}  // namespace

Result<CacheFolder> CacheFolder::open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("cannot make the folder " + path, errno);
  const int number = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const bool is_other = number < 0 && (errno == ENOTDIR || errno == ELOOP);
  if (is_other) return invalid("{} is not a folder (nor may it be a link)", path);
  if (number < 0) return system_error(path, errno);
  CacheFolder folder(path, number);
  RETURN_IF_ERROR(check_owner(number, path));
  folder.lock_ = ::openat(number, kLockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (folder.lock_ < 0) return system_error(fmt::format("{}/{}", path, kLockName), errno);
  // Held until the process ends, however it does.
  if (::flock(folder.lock_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error(fmt::format("{}/{}", path, kLockName), errno);
    return Error{ErrorKind::kUnavailable, fmt::format("{} is in use by another process", path), {}, {}};
  }
  return folder;
}

CacheFolder::~CacheFolder() {
  if (lock_ >= 0) ::close(lock_);
  if (folder_ >= 0) ::close(folder_);
}

CacheFolder::CacheFolder(CacheFolder&& other) noexcept
    : path_(std::move(other.path_)),
      folder_(std::exchange(other.folder_, -1)),
      lock_(std::exchange(other.lock_, -1)) {}

Result<Secret> CacheFolder::secret(const Secret& fresh) {
  std::array<std::byte, sizeof(Secret) + 1> found{};
  const auto count = read(kSecretName, found);
  if (count.ok() && *count == sizeof(Secret)) {
    Secret secret;
    std::memcpy(secret.data(), found.data(), sizeof secret);
    return secret;
  }
  RETURN_IF_ERROR(write(kSecretName, fresh, unix_time_ns()));
  return fresh;
}

Result<std::vector<CacheFolder::File>> CacheFolder::list() {
  remove(kUnfinishedName);
  const int number = ::openat(folder_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (number < 0) return system_error(path_, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(number), &::closedir);
  if (entries == nullptr) {
    ::close(number);
    return system_error(path_, errno);
  }
  std::vector<File> files;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string name = entry->d_name;
    struct stat status {};
    if (name == kLockName || name == kSecretName) continue;
    if (::fstatat(folder_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode)) continue;
    files.push_back({name, static_cast<uint64_t>(status.st_size),
                     int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec});
  }
  return files;
}

Status CacheFolder::write(const std::string& name, std::span<const std::byte> bytes, int64_t used_ns) {
  const std::string what = fmt::format("{}/{}", path_, name);
  int fault = 0;
  {
    const OpenFile file(
        ::openat(folder_, kUnfinishedName, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file.number < 0) return system_error(what, errno);
    fault = write_all(file.number, bytes);
    if (fault == 0 && ::futimens(file.number, file_times(used_ns).data()) != 0) fault = errno;
  }
  if (fault == 0 && ::renameat(folder_, kUnfinishedName, folder_, name.c_str()) != 0) fault = errno;
  if (fault == 0) return ok_status();
  remove(kUnfinishedName);
  return system_error(what, fault);
}

Result<size_t> CacheFolder::read(const std::string& name, std::span<std::byte> into) const {
  const std::string what = fmt::format("{}/{}", path_, name);
  const OpenFile file(::openat(folder_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.number < 0) return system_error(what, errno);
  struct stat status {};
  if (::fstat(file.number, &status) != 0) return system_error(what, errno);
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) > into.size()) {
    return invalid("{} is no file of at most {} bytes", what, into.size());
  }
  return read_all(file.number, into.first(static_cast<size_t>(status.st_size)), what);
}

void CacheFolder::touch(const std::string& name, int64_t used_ns) const {
  ::utimensat(folder_, name.c_str(), file_times(used_ns).data(), AT_SYMLINK_NOFOLLOW);
}

void CacheFolder::remove(const std::string& name) const { ::unlinkat(folder_, name.c_str(), 0); }

}  // namespace slipstream
