#include "engine/queue_bounds.h"

#include "base/check.h"

namespace slipstream {

QueueBounds::QueueBounds(uint32_t max_requests, uint64_t max_tokens, uint32_t num_clients)
    : max_requests_(max_requests), max_tokens_(max_tokens), of_client_(num_clients) {}

Status QueueBounds::enter(uint32_t client, uint64_t num_tokens) {
  CHECK(client < of_client_.size(), "client {} of {}", client, of_client_.size());
  Count& own = of_client_[client];
  const uint64_t own_requests = own.requests.fetch_add(1);
  const uint64_t own_tokens = own.tokens.fetch_add(num_tokens);
  const uint64_t requests = all_.requests.fetch_add(1) + 1;
  const uint64_t tokens = all_.tokens.fetch_add(num_tokens) + num_tokens;

  const bool full = requests > max_requests_ || (tokens > max_tokens_ && requests > 1);
  const bool share_full = !full && of_client_.size() > 1 && own_requests > 0 &&
                          (own_requests > max_requests_ - requests || own_tokens > max_tokens_ - tokens);
  if (!full && !share_full) return ok_status();
  leave(client, num_tokens);
  const std::string all = fmt::format("{} requests of at most {} wait, with {} prompt tokens of at most {}",
                                      requests - 1, max_requests_, tokens - num_tokens, max_tokens_);
  return Error{ErrorKind::kOverloaded,
               full ? fmt::format("the queue is full: {}; try again later", all)
                    : fmt::format("this key's share of the queue is full: {} requests with {} prompt tokens are its "
                                  "own, as much as is still free ({}); try again later",
                                  own_requests, own_tokens, all),
               {},
               {}};
}

void QueueBounds::leave(uint32_t client, uint64_t num_tokens) {
  of_client_[client].requests.fetch_sub(1);
  of_client_[client].tokens.fetch_sub(num_tokens);
  all_.requests.fetch_sub(1);
  all_.tokens.fetch_sub(num_tokens);
}

}  // namespace slipstream
