// Checkpoints that are wrong, one thing each, made from the good ones of tests/data/oracle.
#pragma once

#include <string>
#include <vector>

namespace slipstream {

struct HostileKind {
  std::string name;
  std::string base;  // the good folder
  void (*spoil)(const std::string& folder);
  std::vector<std::string> fragments;  // that the one line must have: what, where, what was expected
  bool text = false;                   // wrong in tokenizer or template; its numbers are good
  bool large = false;                  // its text alone has tens of MB, and reading it may take some more
  std::string file = {};               // the model is this file of the folder; else the folder
};

const std::vector<HostileKind>& hostile_kinds();

std::string model_path(const HostileKind& kind, const std::string& folder);

// Copies the base to `folder`, which is not there yet, and spoils it.
void make_hostile(const HostileKind& kind, const std::string& folder);

}  // namespace slipstream
