// The router of a mixture of experts (ARITHMETIC.md 9): which experts a row goes to, and how much each counts. The same
// code for every instruction set: a few hundred numbers a row.
#pragma once

#include <cstdint>

namespace slipstream {

// The `count` largest of logits[num_experts], largest first, the lower index first where two are equal.
//   weight = e / S               e = exp(l - max), S = the sum over all experts: 16 lanes (expert % 16) and the tree
//   weight = e / (sum chosen)    renormalised: the sum over the chosen, in rank order
// 1 <= count <= num_experts. Whatever the logits are, also not finite, `experts` are distinct and below num_experts.
void choose_experts(const float* logits, uint32_t num_experts, uint32_t count, bool renormalise, uint32_t* experts,
                    float* weights);

}  // namespace slipstream
