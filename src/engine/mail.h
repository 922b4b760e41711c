// What comes into the engine, in order of arrival.
#pragma once

#include <memory>

#include "base/mailbox.h"
#include "engine/sequence.h"
#include "engine/stream_state.h"

namespace slipstream {

struct Mail {
  SequenceList submitted;                  // one, or none
  std::shared_ptr<StreamState> cancelled;  // its reader has gone
  bool clears_cache = false;
};
using Inbox = Mailbox<Mail>;

}  // namespace slipstream
