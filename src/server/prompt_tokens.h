// Words -> tokens, for every endpoint that takes words. Any thread; long texts take long, so: text threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/chat_prompt.h"
#include "base/ids.h"
#include "base/result.h"
#include "server/server.h"

namespace slipstream {

// Errors are the client's: what a template or a tokenizer says no to, and text that cannot fit into the context
// (context_length_exceeded), which is refused before the work of encoding it.
// add_special: what the tokenizer puts around a text (BOS); a chat's template has written it by itself.
Result<std::vector<TokenId>> encode_chat(const ChatPrompt& chat, const ServedModel& model, bool add_special);
Result<std::vector<TokenId>> encode_text(const std::string& text, const ServedModel& model, bool add_special);

// Error: one of them is not in the model's vocabulary. param: where they come from.
Status check_vocabulary(const std::vector<TokenId>& tokens, const ServedModel& model, std::string_view param);

}  // namespace slipstream
