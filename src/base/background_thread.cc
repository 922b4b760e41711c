#include "base/background_thread.h"

#include <signal.h>

#include <utility>

#include "base/this_thread.h"

namespace slipstream {

BackgroundThread::BackgroundThread(const char* name, std::function<void()> body) {
  // Blocked before it begins, so that it never has a moment without. SIGXFSZ too: a write beyond the process's limit
  // then says EFBIG instead of ending the process.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([name, run = std::move(body)] {
    name_this_thread(name);
    yield_this_thread();
    run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BackgroundThread::~BackgroundThread() { thread_.join(); }

}  // namespace slipstream
