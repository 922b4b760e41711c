#include "kernels/stream_tuning.h"

namespace slipstream {
namespace {

StreamTuning g_tuning;

}  // namespace

const StreamTuning& stream_tuning() { return g_tuning; }
void set_stream_tuning(const StreamTuning& tuning) { g_tuning = tuning; }

}  // namespace slipstream
