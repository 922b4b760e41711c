// simulation_worlds [--worlds N] [--seed S]: worlds with the EchoExecutor, by the million. world_loop.h says what it
// does.
#include "world_loop.h"

int main(int argc, char** argv) {
  return slipstream::live_through_worlds(argc - 1, argv + 1, slipstream::run_echo_world);
}
