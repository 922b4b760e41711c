#include "files/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>

#include "base/memory.h"
#include "files/quoted.h"

namespace slipstream {
namespace {

Error system_error(const std::string& path, const char* what) {
  return outside("{}: {}: {}", in_quotes(path), what, std::strerror(errno));
}

Status write_all(int fd, const void* bytes, size_t size, uint64_t offset, const std::string& path) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t written = ::pwrite(fd, at, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path, "cannot be written");
    at += written;
    offset += static_cast<uint64_t>(written);
    size -= static_cast<size_t>(written);
  }
  return ok_status();
}

}  // namespace

// The format: 8 bytes length of the header, the header as JSON, the tensors' bytes.
// https://github.com/huggingface/safetensors
Result<SafetensorsWriter> SafetensorsWriter::create(const std::string& path, const std::vector<Entry>& entries,
                                                    const std::string& metadata) {
  std::string header = metadata.empty() ? "{" : fmt::format("{{\"__metadata__\":{}", metadata);
  std::vector<Place> places;
  uint64_t bytes = 0;
  for (const Entry& entry : entries) {
    ASSIGN_OR_RETURN(const uint64_t size, tensor_bytes(entry.dtype, entry.shape));
    header += fmt::format("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.size() == 1 ? "" : ",", entry.name, dtype_name(entry.dtype),
                          fmt::join(entry.shape, ","), bytes, bytes + size);
    places.push_back({bytes, size});
    bytes += size;
  }
  header += "}";
  header.resize(round_up(header.size(), 8), ' ');  // so that the numbers are aligned in the file
  const uint64_t header_bytes = header.size();
  for (Place& place : places) place.offset += 8 + header_bytes;

  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return system_error(path, "cannot be made");
  SafetensorsWriter writer(fd, path, std::move(places));
  if (::ftruncate(fd, static_cast<off_t>(8 + header_bytes + bytes)) != 0)
    return system_error(path, "cannot be made so large");
  RETURN_IF_ERROR(write_all(fd, &header_bytes, 8, 0, path));
  RETURN_IF_ERROR(write_all(fd, header.data(), header.size(), 8, path));
  return writer;
}

SafetensorsWriter::SafetensorsWriter(int fd, std::string path, std::vector<Place> places)
    : fd_(fd), path_(std::move(path)), places_(std::move(places)) {}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)), places_(std::move(other.places_)) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ >= 0) ::close(fd_);
}

Status SafetensorsWriter::write(size_t entry, uint64_t offset, std::span<const std::byte> bytes) {
  const Place& place = places_.at(entry);
  CHECK(offset <= place.bytes && bytes.size() <= place.bytes - offset, "{} bytes at {} of {}", bytes.size(), offset,
        place.bytes);
  return write_all(fd_, bytes.data(), bytes.size(), place.offset + offset, path_);
}

Status SafetensorsWriter::write_row(size_t entry, uint64_t row, std::span<const float> values) {
  return write(entry, row * values.size_bytes(), std::as_bytes(values));
}

Status SafetensorsWriter::close() {
  if (::close(std::exchange(fd_, -1)) != 0) return system_error(path_, "cannot be written");
  return ok_status();
}

}  // namespace slipstream
