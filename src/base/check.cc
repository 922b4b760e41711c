#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace slipstream {
namespace {

thread_local std::string (*current_dump)(const void*) = nullptr;
thread_local const void* current_subject = nullptr;

}  // namespace

CheckDumpScope::CheckDumpScope(std::string (*dump)(const void*), const void* subject)
    : outer_dump_(current_dump), outer_subject_(current_subject) {
  current_dump = dump;
  current_subject = subject;
}

CheckDumpScope::~CheckDumpScope() {
  current_dump = outer_dump_;
  current_subject = outer_subject_;
}

void check_failed(const char* file, int line, const char* condition, std::string_view message) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s  %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  if (auto dump = current_dump; dump != nullptr) {
    current_dump = nullptr;  // a dump that fails a CHECK itself must not come back here
    std::fprintf(stderr, "%s\n", dump(current_subject).c_str());
  }
  std::fflush(stderr);
  std::abort();
}

}  // namespace slipstream
