#include "engine/waiting_queue.h"

#include <algorithm>

#include "base/check.h"

namespace slipstream {

WaitingQueue::WaitingQueue(const WaitingQueueOptions& options) : options_(options), idle_(options.num_clients) {
  CHECK(options.num_clients >= 1 && options.quantum_tokens >= 1, "{} clients, a quantum of {} tokens",
        options.num_clients, options.quantum_tokens);
  for (auto line = idle_.begin(); line != idle_.end(); ++line) line_of_.push_back(line);
}

uint64_t WaitingQueue::cost(const Sequence& sequence) {
  return uint64_t{sequence.num_tokens()} + sequence.num_expected_tokens;
}

void WaitingQueue::add(SequenceList& one) {
  Sequence& sequence = one.front();
  CHECK(sequence.client < line_of_.size(), "client {} of {}", sequence.client, line_of_.size());
  sequence.place = one.begin();
  ++num_sequences_;
  largest_cost_ = std::max(largest_cost_, cost(sequence));
  const LineList::iterator line = line_of_[sequence.client];
  const bool is_head = line->waiting.empty();
  line->waiting.splice(line->waiting.end(), one);
  if (!is_head) return;
  round_.splice(round_.end(), idle_, line);
  line->charged_at_head = num_charged_;
}

void WaitingQueue::send_back(SequenceList& from, Sequence& sequence) {
  ++num_sequences_;
  sent_back_.splice(sent_back_.begin(), from, sequence.place);
}

// Goes round until a line can pay for its head. Each turn adds a quantum that is spent later, so over time there are at
// most as many turns as tokens admitted need quanta, and one more for each sequence.
Sequence* WaitingQueue::next() {
  if (!sent_back_.empty()) return &sent_back_.front();
  if (!called_.empty()) return &called_.front();
  if (round_.empty()) return nullptr;
  while (true) {
    Line& line = round_.front();
    if (!turn_began_) line.deficit += options_.quantum_tokens;
    turn_began_ = true;
    if (cost(line.waiting.front()) <= line.deficit) return &line.waiting.front();
    round_.splice(round_.end(), round_, round_.begin());
    turn_began_ = false;
  }
}

void WaitingQueue::take_next(SequenceList& to) {
  Sequence* const sequence = next();
  CHECK(sequence != nullptr, "nobody waits");
  --num_sequences_;
  take_turn(*sequence, to);
}

void WaitingQueue::pass_over() {
  Sequence* const sequence = next();
  CHECK(sequence != nullptr && !sequence->num_cached, "nobody to pass over");
  take_turn(*sequence, passed_);
}

// Who is next, to the end of `to`. Its line pays, unless it has had its turn.
void WaitingQueue::take_turn(Sequence& sequence, SequenceList& to) {
  if (!sent_back_.empty()) return to.splice(to.end(), sent_back_, sequence.place);
  if (!called_.empty()) return to.splice(to.end(), called_, sequence.place);
  const LineList::iterator line = round_.begin();
  line->deficit -= cost(sequence);
  num_charged_ += cost(sequence);
  line->charged_at_head = num_charged_;
  to.splice(to.end(), line->waiting, sequence.place);
  leave_round_if_empty(line);
}

void WaitingQueue::remove(Sequence& sequence) {
  --num_sequences_;
  if (sequence.num_cached) {  // was admitted once
    sent_back_.erase(sequence.place);
    return;
  }
  for (SequenceList* const list : {&passed_, &called_}) {
    if (std::ranges::none_of(*list, [&](const Sequence& other) { return &other == &sequence; })) continue;
    list->erase(sequence.place);
    return;
  }
  const LineList::iterator line = line_of_[sequence.client];
  const bool is_head = &line->waiting.front() == &sequence;
  line->waiting.erase(sequence.place);
  if (is_head) line->charged_at_head = num_charged_;
  leave_round_if_empty(line);
}

void WaitingQueue::leave_round_if_empty(LineList::iterator line) {
  if (!line->waiting.empty()) return;
  line->deficit = 0;
  if (line == round_.begin()) turn_began_ = false;
  idle_.splice(idle_.end(), round_, line);
}

uint64_t WaitingQueue::num_tokens() const {
  uint64_t num_tokens = 0;
  for_each([&](const Sequence& sequence) { num_tokens += sequence.num_tokens(); });
  return num_tokens;
}

std::string WaitingQueue::check() const {
  size_t num_sequences = 0;
  for_each([&](const Sequence&) { ++num_sequences; });
  if (num_sequences != num_sequences_) {
    return fmt::format("{} sequences wait, counted as {}", num_sequences, num_sequences_);
  }
  for (const Line& line : idle_) {
    if (!line.waiting.empty() || line.deficit != 0) return "a line is idle, and somebody waits in it or it has credit";
  }
  for (const Line& line : round_) {
    if (line.waiting.empty()) return "a line has turns, and nobody waits in it";
    uint64_t last = 0;
    for (const Sequence& sequence : line.waiting) {
      if (sequence.number < last) return fmt::format("sequence {} waits behind a newer one", sequence.number);
      if (&*line_of_[sequence.client] != &line)
        return fmt::format("sequence {} waits in another client's line", sequence.number);
      last = sequence.number;
    }
    // A head of cost c is admitted in the ceil(c / quantum)-th turn of its line. For each of those turns another line
    // has at most one, and spends in them their quanta and what it had kept, which did not suffice for one sequence.
    const Sequence& head = line.waiting.front();
    const uint64_t turns = (cost(head) + options_.quantum_tokens - 1) / options_.quantum_tokens;
    const uint64_t most = (line_of_.size() - 1) * (turns * options_.quantum_tokens + largest_cost_);
    const uint64_t passed = num_charged_ - line.charged_at_head;
    if (passed > most) {
      return fmt::format("{} tokens of others were admitted past sequence {}, which costs {}; at most {} may", passed,
                         head.number, cost(head), most);
    }
  }
  return {};
}

}  // namespace slipstream
