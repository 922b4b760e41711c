// The name of the calling thread, at most 15 characters: `top -H` and debuggers show it. The engine thread is the
// program's first and keeps the program's name.
#pragma once

#include <pthread.h>

namespace slipstream {

inline void name_this_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace slipstream
