#include "kernels/stream_tuning.h"

namespace slipstream {
namespace {

StreamTunings g_tunings;

}  // namespace

const StreamTunings& stream_tunings() { return g_tunings; }
void set_stream_tunings(const StreamTunings& tunings) { g_tunings = tunings; }

}  // namespace slipstream
