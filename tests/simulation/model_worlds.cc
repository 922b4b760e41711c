// model_worlds CHECKPOINT [--worlds N] [--seed S]: the same worlds with a (tiny) model in them. world_loop.h says what
// it does.
#include "model_world.h"
#include "world_loop.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CHECKPOINT [--worlds N] [--seed S]\n", argv[0]);
    return 2;
  }
  auto worlds = slipstream::ModelWorlds::make(argv[1], 2);
  if (!worlds.ok()) {
    std::fprintf(stderr, "%s\n", worlds.error().message.c_str());
    return 1;
  }
  return slipstream::live_through_worlds(argc - 2, argv + 2, [&](uint64_t seed) { return (*worlds)->run(seed); });
}
