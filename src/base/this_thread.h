// What a thread says of itself to the system.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <cstdint>

namespace slipstream {

// At most 15 characters: `top -H` and debuggers show it. The engine thread is the program's first and keeps the
// program's name.
inline void name_this_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

// Where it wants the same processor as a compute thread, it gets a quarter and that one the rest: a step waits for the
// last of its threads, and whoever waits for this one's work waits for steps as well. Less would make him wait too
// long. Nothing where the system refuses.
inline void yield_this_thread() { ::setpriority(PRIO_PROCESS, 0, 5); }

// Runs on this processor alone from now on, and so do the threads that it makes. Nothing where the system refuses.
inline void pin_this_thread(uint32_t processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  ::sched_setaffinity(0, sizeof(one), &one);
}

}  // namespace slipstream
