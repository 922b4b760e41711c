// serve's --warm-prompts FILE: beginnings of chats that are computed before anyone asks, so that the first chat that
// begins so finds it cached.
#pragma once

#include <string>
#include <vector>

#include "api/chat_prompt.h"
#include "base/result.h"
#include "engine/engine.h"
#include "model/weights.h"
#include "server/cache_key.h"
#include "server/server.h"

namespace slipstream {

// Error: the file cannot be read, or is not what parse_chat_beginnings() takes; it names file and entry.
Result<std::vector<ChatPrompt>> read_warm_prompts(const std::string& path);

// Engine thread, before the server begins: computes each prompt for each of the keys, so that every client finds them
// among what is his own. Prompts that begin alike are computed from where they differ. Returns when all are
// remembered; a log line says what it took, and a warning when the cache has not kept them all. path: for the errors,
// which name the entry: the template refuses it, or it is longer than a context.
Status warm(const std::vector<ChatPrompt>& prompts, const std::string& path, const ServedModel& model,
            const CacheKeys& keys, Engine& engine, const LoadProgress& progress);

}  // namespace slipstream
