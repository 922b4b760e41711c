// One thread of somebody's own, for work that waits for the outside (a disk): it begins with the object and is awaited
// at its end, so whoever owns it first tells `body` to return. Signals are for other threads.
#pragma once

#include <functional>
#include <thread>

namespace slipstream {

class BackgroundThread {
 public:
  // name: at most 15 characters.
  BackgroundThread(const char* name, std::function<void()> body);
  ~BackgroundThread();
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;

 private:
  std::thread thread_;
};

}  // namespace slipstream
