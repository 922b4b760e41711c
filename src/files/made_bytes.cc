#include "files/made_bytes.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/memory.h"

namespace slipstream {
namespace {

constexpr size_t kPage = 4096;

}  // namespace

Result<std::shared_ptr<MadeBytes>> MadeBytes::reserve(size_t size, Make make) {
  CHECK(size > 0, "no bytes");
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return outside("{} MB of addresses cannot be had: {}", size >> 20, std::strerror(errno));
  madvise(data, size, MADV_NOHUGEPAGE);  // pieces go page by page
  return std::make_shared<MadeBytes>(std::span(static_cast<std::byte*>(data), size), std::move(make));
}

MadeBytes::MadeBytes(std::span<std::byte> bytes, Make make) : bytes_(bytes), make_(std::move(make)) {}

MadeBytes::~MadeBytes() { munmap(bytes_.data(), bytes_.size()); }

void MadeBytes::need(std::span<const std::byte> part) const {
  CHECK(contains(part.data()) && part.size() <= static_cast<size_t>(bytes_.data() + bytes_.size() - part.data()),
        "bytes outside of what was reserved");
  const auto offset = static_cast<size_t>(part.data() - bytes_.data());
  make_(offset, bytes_.subspan(offset, part.size()));
}

void MadeBytes::release(std::span<const std::byte> part) const {
  const auto begin = static_cast<size_t>(part.data() - bytes_.data());
  const size_t end = begin + part.size();
  const size_t whole_begin = round_up(begin, kPage);
  const size_t whole_end = end == bytes_.size() ? end : end / kPage * kPage;
  if (whole_begin < whole_end) madvise(bytes_.data() + whole_begin, whole_end - whole_begin, MADV_DONTNEED);
}

}  // namespace slipstream
