#include "app/api_key_file.h"

#include <sys/stat.h>

#include <string_view>

#include "files/text_file.h"
#include "server/api_keys.h"

namespace slipstream {
namespace {

constexpr uint64_t kMostBytes = 1 << 20;  // thousands of keys

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kSpaces = " \t\r";
  const size_t begin = line.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kSpaces) - begin + 1);
}

Status read_keys(std::string_view text, std::vector<std::string>& keys) {
  const size_t num_before = keys.size();
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    Status status = check_api_key(line);
    if (!status.ok()) return std::move(status.error()).within(fmt::format("line {}", number));
    keys.emplace_back(line);
  }
  if (keys.size() == num_before) return invalid("it has no key");
  return ok_status();
}

}  // namespace

Status read_api_key_file(const std::string& path, std::vector<std::string>& keys, std::vector<std::string>& warnings) {
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMostBytes));
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return outside("'{}' is gone", path);
  if ((status.st_mode & S_IWOTH) != 0) {
    return invalid("'{}' can be written by every user of this machine; chmod 600 keeps it to you", path);
  }
  if ((status.st_mode & S_IROTH) != 0) {
    warnings.push_back(
        fmt::format("the keys in '{}' can be read by every user of this machine; chmod 600 keeps them to you", path));
  }
  Status read = read_keys(text, keys);
  if (!read.ok()) return std::move(read.error()).within(fmt::format("'{}'", path));
  return ok_status();
}

}  // namespace slipstream
