// A dummy's shape made small: the family, the width and everything that is not a size stay. For tests.
#pragma once

#include "model/dummy_shape.h"

namespace slipstream {

inline DummyShape small_shape(DummyShape shape, uint32_t num_layers, uint32_t vocab_size) {
  shape.num_hidden_layers = num_layers;
  shape.hidden_size = 128;
  shape.intermediate_size = 192;
  shape.num_attention_heads = 4;
  shape.num_key_value_heads = 2;
  shape.head_dim = 32;
  shape.vocab_size = vocab_size;
  if (shape.num_experts != 0) {
    shape.num_experts = 4;
    shape.num_experts_per_tok = 2;
    shape.moe_intermediate_size = 64;
  }
  return shape;
}

}  // namespace slipstream
