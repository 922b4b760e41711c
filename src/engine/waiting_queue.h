// Who waits, and who is next. Requests wait in a line for each client; the lines take turns by deficit round robin
// (Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round Robin", SIGCOMM 1995), counted in tokens: a
// line's turn gives it a quantum of them to spend, what it does not spend it keeps for its next turn, and a line that
// becomes empty loses it. Within a line: order of arrival. So one client's 10,000 requests delay another's single one
// by at most a few turns, and nobody waits for ever.
//
//   sent back  | s7 s9                       were admitted before and sent back: they go before everyone
//   called     | s10                         had their turn, and were passed over: they go next
//   round      | client 2: s12 s13 s20 ...   has its turn
//              | client 0: s11               is next
//   idle       | clients 1, 3                have nothing waiting
//
// A request costs the tokens known of it and those its answer is expected to have. What a running answer then really
// takes is not charged: fairness is about who is admitted, and nobody who runs is sent away for it.
//
// Whoever is next and would rather wait (for what somebody is just computing) is passed over. That was its turn: its
// line has paid, as if it had been admitted, and it comes before all lines the next time. So passing over changes no
// line's share, and costs whoever is passed over no more than those who are admitted in between.
//
// Engine thread. Allocates nothing after construction; each call takes a time that does not depend on how many wait
// (remove(): nor on more than those who were called, of which the Scheduler has at most max_num_seqs).
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "engine/sequence.h"

namespace slipstream {

struct WaitingQueueOptions {
  uint32_t num_clients = 1;     // >= 1; Sequence::client is below it
  uint32_t quantum_tokens = 1;  // of a line's turn; >= 1
};

class WaitingQueue {
 public:
  explicit WaitingQueue(const WaitingQueueOptions& options);

  // One sequence, to the end of its client's line.
  void add(SequenceList& one);
  // Sent back to wait: before everyone, those that were sent back earlier included. `sequence` is in `from`.
  void send_back(SequenceList& from, Sequence& sequence);
  // Whose turn it is; null when nobody waits but those who were passed over. Stays the same until that one is taken,
  // passed over or removed, another is sent back, or recall().
  Sequence* next();
  // The one that next() names, to the end of `to`.
  void take_next(SequenceList& to);
  // The one that next() names, which was never admitted, is not named again before recall().
  void pass_over();
  // Those that were passed over since the last time go before all lines, in the order in which they were.
  void recall() { called_.splice(called_.begin(), passed_); }
  // Takes a waiting sequence out, for good.
  void remove(Sequence& sequence);

  bool empty() const { return num_sequences_ == 0; }
  size_t size() const { return num_sequences_; }
  size_t num_sent_back() const { return sent_back_.size(); }
  uint64_t num_tokens() const;  // of all of them, counted one by one: for tests

  // Those that were sent back, those that were called, then each line.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const SequenceList* list : {&sent_back_, &passed_, &called_}) {
      for (const Sequence& sequence : *list) visit(sequence);
    }
    for (const std::list<Line>* lines : {&round_, &idle_}) {
      for (const Line& line : *lines) {
        for (const Sequence& sequence : line.waiting) visit(sequence);
      }
    }
  }

  // The first invariant that does not hold, empty when all do: order, counts, and how much of others was admitted past
  // the head of each line. For tests.
  std::string check() const;

 private:
  struct Line {
    SequenceList waiting;           // oldest first
    uint64_t deficit = 0;           // tokens it may still spend
    uint64_t charged_at_head = 0;   // num_charged_ when its head became its head
  };
  using LineList = std::list<Line>;

  static uint64_t cost(const Sequence& sequence);
  void take_turn(Sequence& sequence, SequenceList& to);
  void leave_round_if_empty(LineList::iterator line);

  const WaitingQueueOptions options_;
  SequenceList sent_back_;
  SequenceList passed_;             // had their turn, and are not named before recall()
  SequenceList called_;             // had their turn before
  LineList round_;                  // lines in which somebody waits; the first has its turn
  LineList idle_;
  std::vector<LineList::iterator> line_of_;  // [client]
  bool turn_began_ = false;         // the first line of the round has got its quantum
  size_t num_sequences_ = 0;
  uint64_t num_charged_ = 0;        // tokens admitted by turns so far
  uint64_t largest_cost_ = 0;       // of one sequence so far
};

}  // namespace slipstream
